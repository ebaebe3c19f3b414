"""Whom a credential stands for, on every database."""

import asyncio
import base64
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.clock import FakeClock
from tests.identity.people import Person, change, make_key, make_member
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Unauthorized
from usina.kernel.ids import new_id
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.permission import Permission, Role
from usina.kernel.tenancy.service import CreatedOrganization, Tenancy
from usina.kernel.tenancy.table import api_keys, memberships, sessions
from usina.kernel.tenancy.token import Tokens

SECRET = b"a secret of a test, and long enough"
PLATFORM = "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"
LIFETIME = 600


class Watch:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def tokens(watch: Watch) -> Tokens:
    return Tokens(SECRET, PLATFORM, LIFETIME, now=watch)


@pytest.fixture
def gate(database: Database, tokens: Tokens, watch: Watch) -> Gate:
    return Gate(database, tokens, monotonic=watch)


@pytest.fixture
async def first(database: Database) -> CreatedOrganization:
    return await Tenancy(database).create_organization("first")


@pytest.fixture
async def plant(database: Database, first: CreatedOrganization, clock: FakeClock) -> Person:
    """A member of an organization that is not the first."""
    clock.advance(1)
    made = await Tenancy(database).create_organization("plant")
    return await make_member(database, made.organization_id, Role.MEMBER)


def token_of(tokens: Tokens, person: Person) -> str:
    return tokens.issue(person.user_id, person.organization_id, person.session_id)


async def test_a_token_stands_for_its_member(gate: Gate, tokens: Tokens, plant: Person) -> None:
    caller = await gate.identify(None, f"bearer  {token_of(tokens, plant)}")
    assert (caller.organization_id, caller.user_id) == (plant.organization_id, plant.user_id)
    assert (caller.session_id, caller.key_id) == (plant.session_id, None)
    assert caller.role is Role.MEMBER
    assert caller.may(Permission.JOBS_WRITE)
    assert not caller.may(Permission.AUDIT_READ)
    assert not caller.may(Permission.PLATFORM_OPERATE)
    assert "@" in caller.name


async def test_the_first_key_operates_and_that_of_another_organization_does_not(
    gate: Gate, database: Database, first: CreatedOrganization, plant: Person
) -> None:
    operator = await gate.identify(first.api_key, None)
    assert operator.may(Permission.PLATFORM_OPERATE)
    other = await gate.identify(await make_key(database, plant.organization_id), None)
    assert other.role is Role.OWNER
    assert not other.may(Permission.PLATFORM_OPERATE)


async def test_a_key_is_taken_as_bearer_too(
    gate: Gate, first: CreatedOrganization, database: Database
) -> None:
    bearer = await gate.identify(None, f"Bearer {first.api_key}")
    assert bearer == await gate.identify(first.api_key, "Basic of-a-proxy")
    foreign = "a.static.key-of-another_system"
    await Tenancy(database).seed(None, None, foreign)
    assert (await gate.identify(None, f"Bearer {foreign}")).key_id is not None


async def test_a_persons_key_has_that_persons_role_as_it_is_now(
    gate: Gate, database: Database, plant: Person
) -> None:
    key = await make_key(database, plant.organization_id, user_id=plant.user_id)
    assert (await gate.identify(key, None)).role is Role.MEMBER
    await change(
        database,
        sa.update(memberships).where(memberships.c.user_id == plant.user_id).values(role="viewer"),
    )
    gate.forget()
    caller = await gate.identify(key, None)
    assert caller.role is Role.VIEWER
    assert not caller.may(Permission.JOBS_WRITE)
    await change(database, sa.delete(memberships).where(memberships.c.user_id == plant.user_id))
    gate.forget()
    with pytest.raises(Unauthorized):
        await gate.identify(key, None)


async def test_scopes_let_through_no_more_than_the_role_has(
    gate: Gate, database: Database, plant: Person
) -> None:
    scopes = ("files:write", "audit:read")
    key = await make_key(database, plant.organization_id, scopes, user_id=plant.user_id)
    caller = await gate.identify(key, None)
    assert caller.permissions == {Permission.FILES_READ, Permission.FILES_WRITE}


async def test_what_is_revoked_is_remembered_for_five_seconds_at_most(
    gate: Gate, database: Database, first: CreatedOrganization, watch: Watch
) -> None:
    await gate.identify(first.api_key, None)
    await change(database, sa.update(api_keys).values(revoked_at=_MOMENT))
    assert await gate.by_key(first.api_key) is not None
    watch.seconds += 5
    assert await gate.by_key(first.api_key) is None


async def test_what_is_revoked_and_told_is_refused_at_once(
    gate: Gate, database: Database, tokens: Tokens, plant: Person
) -> None:
    token = token_of(tokens, plant)
    assert await gate.by_token(token) is not None
    await change(database, sa.update(sessions).values(revoked_at=_MOMENT))
    gate.forget()
    assert await gate.by_token(token) is None


async def test_who_is_looked_up_while_something_changes_is_not_remembered(
    gate: Gate, database: Database, first: CreatedOrganization
) -> None:
    looking = asyncio.ensure_future(gate.by_key(first.api_key))
    await asyncio.sleep(0)
    gate.forget()
    await looking
    await change(database, sa.update(api_keys).values(revoked_at=_MOMENT))
    assert await gate.by_key(first.api_key) is None


async def test_an_expiry_is_not_outlived_in_memory(
    gate: Gate, database: Database, plant: Person, clock: FakeClock, watch: Watch
) -> None:
    [now] = await database.read(lambda tx: [tx.now])
    until = now + timedelta(seconds=2)
    key = await make_key(database, plant.organization_id, expires_at=until)
    assert await gate.by_key(key) is not None
    clock.advance(2)
    watch.seconds += 2
    assert await gate.by_key(key) is None


async def test_a_token_ends_by_the_clock(
    gate: Gate, tokens: Tokens, plant: Person, watch: Watch
) -> None:
    token = token_of(tokens, plant)
    watch.seconds += LIFETIME - 1
    assert await gate.by_token(token) is not None
    watch.seconds += 7
    assert await gate.by_token(token) is None


def forged(claims: dict[str, Any], header: dict[str, Any], key: Any) -> str:
    algorithms = [header["alg"]]
    return jwt.encode(header, claims, key, algorithms=algorithms, default_type=None)


def _part(said: dict[str, Any]) -> bytes:
    return _text(json.dumps(said).encode())


def _text(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def forgeries(claims: dict[str, Any], watch: Watch) -> Iterator[tuple[str, str]]:
    """Tokens that somebody else has made, or that lack something."""
    ours = OctKey.import_key(SECRET)
    strange = OctKey.import_key(b"another secret of 32 bytes, and more")
    header = {"alg": "HS256", "typ": "at+jwt"}
    yield "control", forged(claims, header, ours)
    parts = [{"alg": "none", "typ": "at+jwt"}, claims]
    said = [_part(part) for part in parts]
    yield "alg none", b".".join([*said, b""]).decode()
    yield "alg none, signed", b".".join([*said, b"AAAA"]).decode()
    yield (
        "another secret",
        forged(claims, header, strange),
    )
    rsa = RSAKey.generate_key(2048, auto_kid=False)
    yield "RS256", forged(claims, {**header, "alg": "RS256"}, rsa)
    signed = b".".join([_part(header), _part(claims)])
    by_public_key = hmac.digest(rsa.as_pem(private=False), signed, "sha256")
    yield "HS256 by a public key", b".".join([signed, _text(by_public_key)]).decode()
    yield "HS512", forged(claims, {**header, "alg": "HS512"}, ours)
    for name in claims:
        lacking = {key: value for key, value in claims.items() if key != name}
        yield f"no {name}", forged(lacking, header, ours)
    yield "another type", forged(claims, {**header, "typ": "JWT"}, ours)
    yield "no type", forged(claims, {"alg": "HS256"}, ours)
    yield "another audience", forged({**claims, "aud": new_id()}, header, ours)
    yield "another issuer", forged({**claims, "iss": "else"}, header, ours)
    yield "over", forged({**claims, "exp": int(watch.seconds) - 60}, header, ours)
    yield "from the future", forged({**claims, "iat": int(watch.seconds) + 600}, header, ours)
    yield "not yet", forged({**claims, "nbf": int(watch.seconds) + 600}, header, ours)
    yield "exp of text", forged({**claims, "exp": "9999999999"}, header, ours)
    yield "ids of text", forged({**claims, "sub": "' OR 1=1"}, header, ours)
    yield "ids of numbers", forged({**claims, "sid": 7}, header, ours)
    for name in ("sub", "org", "sid"):
        yield f"another {name}", forged({**claims, name: new_id()}, header, ours)
    first, second, third = forged(claims, header, ours).split(".")
    yield "cut", f"{first}.{second}.{third[:-4]}"
    yield "another body", f"{first}.{second[:-6]}AAAAAA.{third}"
    yield "long", forged({**claims, "x": "x" * 4000}, header, ours)
    yield "no JSON", f"eyJ.{second}.{third}"


async def test_no_forgery_is_believed(gate: Gate, plant: Person, watch: Watch) -> None:
    now = int(watch.seconds)
    claims: dict[str, Any] = {
        "iss": "usina",
        "aud": PLATFORM,
        "sub": plant.user_id,
        "org": plant.organization_id,
        "sid": plant.session_id,
        "iat": now,
        "exp": now + 60,
        "jti": new_id(),
    }
    believed = [name for name, text in forgeries(claims, watch) if await gate.by_token(text)]
    assert believed == ["control"]


@pytest.mark.parametrize(
    ("api_key", "authorization"),
    [
        (None, None),
        ("", ""),
        ("usina_" + "0" * 64, None),
        ("k" * 100_000, None),
        ("\x00", None),
        ("é", None),
        (None, "Bearer"),
        (None, "Bearer "),
        (None, "Basic dXNlcjpwYXNz"),
        (None, "Bearer a.b.c"),
        (None, "Bearer eyJ.eyJ.x"),
        (None, "Bearer eyJ" + "." * 2),
        ("wrong", "Bearer eyJ.eyJ.x"),
    ],
)
async def test_what_is_no_credential_is_refused(
    gate: Gate, first: CreatedOrganization, api_key: str | None, authorization: str | None
) -> None:
    with pytest.raises(Unauthorized):
        await gate.identify(api_key, authorization)


async def test_without_tokens_there_are_only_keys(
    database: Database, tokens: Tokens, plant: Person
) -> None:
    with pytest.raises(Unauthorized):
        await Gate(database).identify_bearer(token_of(tokens, plant))


def test_a_caller_that_nobody_told_may_nothing() -> None:
    assert not any(Caller("o", None).may(permission) for permission in Permission)


_MOMENT = FakeClock().moment
