"""``RateLimit`` and ``RateLimit-Policy`` (the IETF's draft, as structured fields)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from usina.kernel.errors import TooMany
from usina.kernel.limits.meter import Reading
from usina.kernel.limits.rate import Rate
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller

HEADERS: Final = "usina.headers"
"""In a request's scope: what its answer has besides its own headers, whoever makes that."""


def count(platform: Platform, caller: Caller, scope: Scope) -> None:
    """Counts the request of a caller and has the answer say so; raises ``TooMany`` above a rate."""
    settings, meter = platform.settings, platform.meter
    who = caller.key_id or caller.session_id or ""
    counted: list[tuple[str, Rate, Reading]] = []
    if settings.rate_key is not None:
        counted.append(("key", settings.rate_key, meter.count(who, settings.rate_key)))
    if settings.rate_organization is not None:
        rate = settings.rate_organization
        counted.append(("organization", rate, meter.count(caller.organization_id, rate)))
    if not counted:
        return
    headers: list[tuple[bytes, bytes]] | None = scope.get(HEADERS)
    if headers is not None:
        policies = tuple((name, rate) for name, rate, _ in counted)
        headers.append((b"ratelimit-policy", _policy(policies)))
        headers.append((b"ratelimit", _readings(counted)))
    for name, rate, reading in counted:
        if not reading.within:
            whose = "This key" if name == "key" else "This organization"
            raise TooMany(f"{whose} may make {rate} requests; wait.", reading.reset_seconds)


@lru_cache(maxsize=16)
def _policy(policies: tuple[tuple[str, Rate], ...]) -> bytes:
    parts = [f'"{name}";q={rate.amount};w={rate.seconds}' for name, rate in policies]
    return ", ".join(parts).encode()


def _readings(counted: Sequence[tuple[str, Rate, Reading]]) -> bytes:
    parts = [f'"{name}";r={max(0, r.remaining)};t={r.reset_seconds}' for name, _, r in counted]
    return ", ".join(parts).encode()
