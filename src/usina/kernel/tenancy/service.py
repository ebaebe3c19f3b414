"""What is done on the platform's machine: organizations, their first persons and keys."""

import secrets
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from pwdlib import PasswordHash

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound
from usina.kernel.ids import is_id
from usina.kernel.tenancy.api_key import Wanted, check_wanted, insert_key
from usina.kernel.tenancy.audit import COMMAND, Actor, ActorType, record
from usina.kernel.tenancy.founding import found_organization
from usina.kernel.tenancy.gate import FIRST_ORGANIZATION
from usina.kernel.tenancy.key import NewKey, describe_key, generate_key
from usina.kernel.tenancy.password import check_password
from usina.kernel.tenancy.permission import Role
from usina.kernel.tenancy.person import checked_email, comparable, find_person, join, put_person
from usina.kernel.tenancy.session import end_sessions
from usina.kernel.tenancy.table import api_keys, memberships, organizations, sessions, users

_BOOTSTRAP_KEY: Final = "first key"
_SEED: Final = Actor(ActorType.COMMAND, "the start, or usina seed")
_LONGEST_LIST: Final = 10_000


@dataclass(frozen=True, slots=True)
class CreatedOrganization:
    organization_id: str
    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class KnownOrganization:
    id: str
    name: str
    members: int


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """``password`` is null where somebody gave it, or where the person was there already."""

    id: str
    email: str
    password: str | None


@dataclass(frozen=True, slots=True)
class CreatedKey:
    id: str
    organization_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What a seed made or changed; an empty list means that all was there already."""

    organization_id: str
    changes: tuple[str, ...]


class Tenancy:
    """Makes what nobody may ask for over the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_organization(self, name: str) -> CreatedOrganization:
        """A new organization with its first key; the key's text is known only here."""
        key = generate_key()

        def unit(tx: Transaction) -> str:
            organization_id = found_organization(tx, name, "/name", COMMAND)
            _insert_first_key(tx, organization_id, _BOOTSTRAP_KEY, key, COMMAND)
            return organization_id

        return CreatedOrganization(await self._database.write(unit), name.strip(), key.text)

    async def organizations(self) -> list[KnownOrganization]:
        """The oldest first."""
        members = sa.func.count(memberships.c.user_id).label("members")
        query = (
            sa.select(organizations.c.id, organizations.c.name, members)
            .outerjoin(memberships, memberships.c.organization_id == organizations.c.id)
            .group_by(organizations.c.id, organizations.c.name, organizations.c.created_at)
            .order_by(organizations.c.created_at, organizations.c.id)
            .limit(_LONGEST_LIST)
        )
        found = await self._database.read(lambda tx: tx.execute(query).all())
        return [KnownOrganization(row.id, row.name, row.members) for row in found]

    async def create_user(
        self, organization: str, email: str, role: Role, password: str | None
    ) -> CreatedUser:
        """A member of the organization (an id or a name); who is known already joins it."""
        email = checked_email(email, "/email")
        given = secrets.token_urlsafe(18) if password is None else password
        check_password(given, email, "/password")
        hashed = PasswordHash.recommended().hash(given)

        def unit(tx: Transaction) -> CreatedUser:
            organization_id = _organization(tx, organization)
            user_id, new = put_person(tx, email, hashed)
            if not join(tx, organization_id, user_id, email, role, COMMAND):
                raise Conflict(f"{email} is a member of it already.", code="member_already")
            shown = given if new and password is None else None
            return CreatedUser(user_id, email, shown)

        return await self._database.write(unit)

    async def create_key(self, organization: str, wanted: Wanted, role: Role) -> CreatedKey:
        """A key that is nobody's; its secret is known only here."""
        check_wanted(wanted)
        key = generate_key()

        def unit(tx: Transaction) -> CreatedKey:
            organization_id = _organization(tx, organization)
            made = insert_key(tx, organization_id, wanted, key, None, role, COMMAND)
            return CreatedKey(made.id, organization_id, key.text)

        return await self._database.write(unit)

    async def revoke_key(self, key: str) -> str:
        """Revokes a key by its id or its prefix; returns its id. Raises ``NotFound``."""
        named = api_keys.c.id == key if is_id(key) else api_keys.c.prefix == key

        def unit(tx: Transaction) -> str:
            living = sa.select(api_keys).where(named, api_keys.c.revoked_at.is_(None))
            rows = tx.execute(living.limit(2)).all()
            if not rows:
                raise NotFound(f"There is no live key {key}.")
            if len(rows) > 1:
                raise Conflict(f"Several keys begin with {key}: name one by its id.")
            [row] = rows
            tx.execute(sa.update(api_keys).where(api_keys.c.id == row.id).values(revoked_at=tx.now))
            before = {"name": row.name, "prefix": row.prefix}
            subject = "api_key", row.id
            record(tx, row.organization_id, COMMAND, "api_key.revoked", subject, before)
            return row.id

        return await self._database.write(unit)

    async def seed(
        self, username: str | None, password: str | None, api_key: str | None
    ) -> SeedReport:
        """The first organization, and its owner and key where given; repeating changes nothing."""

        def unit(tx: Transaction) -> SeedReport:
            take_turns(tx, ["organizations"])
            changes: list[str] = []
            organization_id = tx.execute(FIRST_ORGANIZATION).scalar_one_or_none()
            if organization_id is None:
                organization_id = found_organization(tx, "main", "/name", _SEED)
                changes.append("organization main")
            if username and password and _put_owner(tx, organization_id, username, password):
                changes.append(f"owner {username}")
            if api_key and _put_key(tx, organization_id, describe_key(api_key)):
                changes.append("API key of the first superuser")
            return SeedReport(organization_id, tuple(changes))

        return await self._database.write(unit)

    async def replace_first_key(self, organization_id: str) -> str:
        """A fresh first key; the old one dies at once. Returns the new one's text."""
        key = generate_key()

        def unit(tx: Transaction) -> None:
            tx.execute(
                sa.update(api_keys)
                .where(
                    api_keys.c.organization_id == organization_id,
                    api_keys.c.name == _BOOTSTRAP_KEY,
                    api_keys.c.user_id.is_(None),
                    api_keys.c.revoked_at.is_(None),
                )
                .values(revoked_at=tx.now)
            )
            _insert_first_key(tx, organization_id, _BOOTSTRAP_KEY, key, _SEED)

        await self._database.write(unit)
        return key.text


def _organization(tx: Transaction, named: str) -> str:
    which = organizations.c.id == named if is_id(named) else organizations.c.name == named
    found = tx.execute(sa.select(organizations.c.id).where(which)).scalar_one_or_none()
    if found is None:
        raise Invalid.at("/organization", f"There is no organization {named!r}.")
    return found


def _insert_first_key(
    tx: Transaction, organization_id: str, name: str, key: NewKey, actor: Actor
) -> None:
    insert_key(tx, organization_id, Wanted(name), key, None, Role.OWNER, actor)


def _put_key(tx: Transaction, organization_id: str, key: NewKey) -> bool:
    """True when the key was new; one that was revoked stays so."""
    known = tx.execute(
        sa.select(api_keys.c.id).where(api_keys.c.secret_sha256 == key.sha256)
    ).scalar_one_or_none()
    if known is None:
        _insert_first_key(tx, organization_id, "first superuser", key, _SEED)
    return known is None


def _put_owner(tx: Transaction, organization_id: str, username: str, password: str) -> bool:
    """True when the owner was new or its password another."""
    hasher, username = PasswordHash.recommended(), comparable(username)
    row = find_person(tx, username)
    if row is None:
        user_id, _ = put_person(tx, username, hasher.hash(password))
        return join(tx, organization_id, user_id, username, Role.OWNER, _SEED)
    joined = join(tx, organization_id, row.id, username, Role.OWNER, _SEED)
    if hasher.verify(password, row.password_hash):
        return joined
    changed = {"password_hash": hasher.hash(password)}
    tx.execute(sa.update(users).where(users.c.id == row.id).values(changed))
    end_sessions(tx, sessions.c.user_id == row.id)
    record(tx, organization_id, _SEED, "password.changed", ("member", row.id))
    return True
