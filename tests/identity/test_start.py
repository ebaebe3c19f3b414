"""No start with a secret that can be guessed, and what is revoked elsewhere is known here."""

import asyncio

import pytest

from tests.identity.people import make_key
from usina.ground import CanNotStart
from usina.identity import refuse_weak_secret
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.events.bus import Bus
from usina.kernel.tenancy.api_key import ApiKeys
from usina.kernel.tenancy.audit import COMMAND
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.service import Tenancy
from usina.settings import Settings


@pytest.mark.parametrize(
    "secret",
    ["", "short", "x" * 64, "change-me-please-" * 4, "changethis" * 8, "secret" * 8, "0123" * 16],
)
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    settings = Settings(secret_key=secret, _env_file=None)  # pyright: ignore[reportArgumentType]
    for needed in (True, False):
        with pytest.raises(CanNotStart, match="openssl rand -hex 32") as refused:
            refuse_weak_secret(settings, needed=needed)
        assert not secret or secret not in str(refused.value)


def test_a_good_secret_and_none_where_none_is_needed_will_do() -> None:
    good = Settings(secret_key="5c8a" + "f1e2d3c4b5a69788" * 4, _env_file=None)  # pyright: ignore[reportArgumentType]
    refuse_weak_secret(good, needed=True)
    refuse_weak_secret(Settings(_env_file=None), needed=False)
    with pytest.raises(CanNotStart, match="is not set"):
        refuse_weak_secret(Settings(_env_file=None), needed=True)


async def test_a_revocation_is_heard_over_the_bus(postgres: PostgresDatabase) -> None:
    """Two gates as of two processes; the bus between them is what a relay does."""
    made = await Tenancy(postgres).create_organization("plant")
    victim = await make_key(postgres, made.organization_id)
    bus, gates = Bus(), [Gate(postgres), Gate(postgres)]
    bus.tap("callers", lambda _: [gate.forget() for gate in gates] and None)
    keys = ApiKeys(postgres, lambda: bus.wake("callers:changed"))
    callers = [await gate.identify(victim, None) for gate in gates]
    owner = await gates[0].identify(made.api_key, None)
    key_id = callers[0].key_id
    assert key_id is not None
    await keys.revoke(owner, key_id, COMMAND)
    assert [await gate.by_key(victim) for gate in gates] == [None, None]
    await asyncio.gather(*(gate.stop() for gate in gates))
