"""`usina admin`: what is done beside the API, on the database of a folder."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import Usina
from tests.databases import open_sqlite
from usina.data_folder import locked
from usina.kernel.clock import SystemClock
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.permission import Permission, Role


@pytest.fixture
def acme(usina: Usina) -> str:
    made = usina("--json", "admin", "organization", "create", "ACME", "--data", "data")
    assert made.code == 0, made.err
    return made.json["organization_id"]


def caller_of(secret: str) -> Caller | None:
    """Who the key stands for, as a platform on the folder would say."""

    async def ask() -> Caller | None:
        database = open_sqlite(Path("data"), SystemClock())
        gate = Gate(database)
        try:
            return await gate.by_key(secret)
        finally:
            await gate.stop()
            await database.close()

    return asyncio.run(ask())


def test_organizations_are_listed_with_the_oldest_first(usina: Usina, acme: str) -> None:
    usina("admin", "organization", "create", "Second", "--data", "data")
    found = usina("--json", "admin", "organization", "list", "--data", "data").json
    assert [(one["name"], one["members"]) for one in found] == [("ACME", 0), ("Second", 0)]
    assert found[0]["id"] == acme
    shown = usina("admin", "organization", "list", "--data", "data").out
    assert shown.splitlines()[0].split("\t") == [acme, "ACME", "0"]


def test_a_key_is_what_was_asked_for_and_dies_by_its_prefix(usina: Usina, acme: str) -> None:
    wanted = ("nightly", "--organization", "ACME", "--scope", "jobs:write", "--days", "90")
    made = usina("--json", "admin", "key", "create", *wanted, "--data", "data")
    assert made.code == 0, made.err
    caller = caller_of(made.json["secret"])
    assert caller is not None
    assert (caller.organization_id, caller.role) == (acme, Role.MEMBER)
    assert caller.permissions == {Permission.JOBS_READ, Permission.JOBS_WRITE}
    prefix = made.json["secret"][:14]
    revoked = usina("admin", "key", "revoke", prefix, "--data", "data")
    assert (revoked.code, revoked.out.strip()) == (0, made.json["id"])
    assert caller_of(made.json["secret"]) is None
    assert usina("admin", "key", "revoke", prefix, "--data", "data").code == 5


def test_a_person_is_made_with_a_password_that_is_shown_once(usina: Usina, acme: str) -> None:
    of_acme = ("--organization", acme, "--data", "data")
    made = usina(
        "--json", "admin", "user", "create", "Ada@Example.org", "--role", "admin", *of_acme
    )
    assert made.code == 0, made.err
    assert made.json["email"] == "ada@example.org"
    assert len(made.json["password"]) >= 20
    again = usina("admin", "user", "create", "ada@example.org", *of_acme)
    assert again.code == 1
    assert "member of it already" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("user", "create", "nobody", "--organization", "ACME"), 1, "address"),
        (("user", "create", "a@b.c", "--organization", "none"), 1, "no organization"),
        (("user", "create", "a@b.c", "--organization", "ACME", "--role", "god"), 2, "god"),
        (("key", "create", "x", "--organization", "none"), 1, "no organization"),
        (("key", "create", "x", "--organization", "ACME", "--scope", "jobs:*"), 1, "no such scope"),
        (("key", "create", "", "--organization", "ACME"), 1, "1 to 200"),
        (("key", "revoke", "usina_00000000"), 5, "no live key"),
        (("organization", "create", "ACME"), 1, "ACME"),
    ],
)
def test_what_can_not_be_is_refused(
    usina: Usina, acme: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = usina("admin", *arguments, "--data", "data")
    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err


def test_it_works_beside_a_running_platform(usina: Usina, acme: str) -> None:
    with locked(Path("data").absolute()):
        made = usina("admin", "key", "create", "beside", "--organization", acme, "--data", "data")
    assert made.code == 0, made.err
    assert caller_of(made.out.strip()) is not None
