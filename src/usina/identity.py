"""Identity put together: the gate and what stands around it, as the settings want it."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from usina.ground import CanNotStart, Ground, redis_of
from usina.kernel.jobs.organization import Organizations
from usina.kernel.limits.attempts import Attempts
from usina.kernel.limits.meter import Meter
from usina.kernel.redis import Counts
from usina.kernel.tenancy.account import Accounts
from usina.kernel.tenancy.api_key import ApiKeys
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.invitation import Invitations
from usina.kernel.tenancy.member import Members
from usina.kernel.tenancy.password import Passwords
from usina.kernel.tenancy.retention import Kept
from usina.kernel.tenancy.token import Tokens
from usina.settings import Settings

_CALLERS: Final = "callers"
_SHORTEST_SECRET: Final = 32
_FEWEST_CHARACTERS: Final = 8
_DEFAULTS: Final = ("changeme", "change-me", "changethis", "change-this", "secret", "example")


@dataclass(frozen=True)
class Doors:
    """Who may come in, and how one gets a credential."""

    gate: Gate
    accounts: Accounts
    api_keys: ApiKeys
    organizations: Organizations
    members: Members
    invitations: Invitations
    attempts: Attempts
    meter: Meter


def doors_on(ground: Ground) -> Doors:
    """The doors of one process; what makes a credential worth less is told to all others."""
    settings, database, bus = ground.settings, ground.database, ground.bus
    lifetime = round(settings.access_token_expire_minutes * 60)
    tokens = Tokens(_token_secret(ground), ground.platform_id, lifetime)
    gate = Gate(database, tokens)
    ground.parts.push_async_callback(gate.stop)
    bus.tap(_CALLERS, lambda _: gate.forget())
    passwords = Passwords()
    ground.parts.callback(passwords.close)

    def changed() -> None:
        bus.wake(f"{_CALLERS}:changed")

    lasts = timedelta(days=settings.session_days)
    accounts = Accounts(database, tokens, passwords, changed, settings.registration, lasts)
    invitations = Invitations(database, timedelta(days=settings.invitation_days))
    keys, members = ApiKeys(database, changed), Members(database, changed)
    shared = _shared(ground)
    attempts, meter = Attempts(shared, settings.rate_login), Meter(shared)
    ground.parts.push_async_callback(meter.stop)
    organizations = Organizations(database, bus, ground.quotas.most, _longest_kept(settings))
    return Doors(gate, accounts, keys, organizations, members, invitations, attempts, meter)


def refuse_weak_secret(settings: Settings, *, needed: bool) -> None:
    """Raises :class:`CanNotStart` where tokens could be forged by who guesses."""
    if settings.secret_key is None:
        if needed:
            raise CanNotStart(_weak("is not set"))
        return
    secret = settings.secret_key.get_secret_value()
    if len(secret.encode()) < _SHORTEST_SECRET:
        raise CanNotStart(_weak(f"has less than {_SHORTEST_SECRET} bytes"))
    if len(set(secret)) < _FEWEST_CHARACTERS or secret.lower().startswith(_DEFAULTS):
        raise CanNotStart(_weak("can be guessed"))


def _weak(why: str) -> str:
    return (
        f"SECRET_KEY {why}, and it signs the tokens of this platform. Set the same for every"
        " process, such as `openssl rand -hex 32` prints."
    )


def _longest_kept(settings: Settings) -> Kept:
    """How long the platform keeps things."""
    return Kept(
        settings.retention_jobs_days,
        settings.retention_events_days,
        settings.retention_files_days,
        settings.retention_photos_days,
    )


def _token_secret(ground: Ground) -> bytes:
    """``SECRET_KEY``, or one that follows from the database's own secret."""
    if ground.settings.secret_key is not None:
        return ground.settings.secret_key.get_secret_value().encode()
    return hmac.digest(ground.secret, b"access tokens", "sha256")


def _shared(ground: Ground) -> Counts | None:
    """Where the processes of a platform count together."""
    if ground.relay is None:
        return None
    counts = Counts(redis_of(ground.settings), f"usina:{ground.platform_id}:limits")
    ground.parts.push_async_callback(counts.close)
    return counts
