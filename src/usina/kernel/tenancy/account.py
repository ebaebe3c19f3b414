"""Accounts of persons: register, log in, refresh, log out, change a password; who one is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Forbidden, NotFound, Unauthorized
from usina.kernel.ids import is_id
from usina.kernel.page import Page
from usina.kernel.tenancy import invitation
from usina.kernel.tenancy.audit import Actor, ActorType, record
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.founding import found_organization
from usina.kernel.tenancy.gate import FIRST_ORGANIZATION
from usina.kernel.tenancy.password import Passwords, check_password
from usina.kernel.tenancy.permission import EVERYTHING, Permission, Role, permissions_of
from usina.kernel.tenancy.person import checked_email, comparable, find_person, join, put_person
from usina.kernel.tenancy.session import (
    OpenSession,
    Reused,
    Session,
    close_session,
    end_sessions,
    open_session,
    open_sessions,
    refresh_session,
)
from usina.kernel.tenancy.table import api_keys, memberships, organizations, sessions, users
from usina.kernel.tenancy.token import Tokens

Registration = Literal["open", "invited", "closed"]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh gives."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class KeyOfOne:
    """The key that calls, without its secret."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a caller is."""

    user_id: str | None
    username: str | None
    organization_id: str
    organization: str
    role: Role
    permissions: frozenset[Permission]
    key: KeyOfOne | None = None


@dataclass(frozen=True, slots=True)
class Registering:
    """A person to be: of a new organization, or of the one that invited."""

    email: str
    password: str
    organization: str | None = None
    invitation: str | None = None


class Accounts:
    """Everything that a person does with a password or a token.

    ``changed`` is called after whatever makes a credential worth less.
    """

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        changed: Callable[[], None],
        registration: Registration,
        session_lasts: timedelta,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._changed = changed
        self._registration = registration
        self._session_lasts = session_lasts

    async def register(self, wanted: Registering, actor: Actor) -> Identity:
        """A new person with a new organization, or as a member of the inviting one."""
        self._refuse_uninvited(wanted)
        email = checked_email(wanted.email, "/email")
        check_password(wanted.password, email, "/password")
        hashed = await self._passwords.hash(wanted.password)

        def unit(tx: Transaction) -> Identity:
            user_id, new = put_person(tx, email, hashed)
            if not new:
                raise Conflict("There is a person of this address: log in.", code="email_taken")
            who = Actor(ActorType.PERSON, email, user_id, None, actor.ip, actor.request_id)
            if wanted.invitation is not None:
                joined = invitation.accept(tx, wanted.invitation, user_id, email, who)
                return _of_person(tx, user_id, joined.organization_id)
            assert wanted.organization is not None
            organization_id = found_organization(tx, wanted.organization, "/organization", who)
            join(tx, organization_id, user_id, email, Role.OWNER, who)
            return _of_person(tx, user_id, organization_id)

        return await self._database.write(unit)

    def _refuse_uninvited(self, wanted: Registering) -> None:
        if self._registration == "closed":
            raise Forbidden("Nobody registers here by himself.", code="registration_closed")
        if self._registration == "invited" and wanted.invitation is None:
            raise Forbidden("Only who is invited registers here.", code="registration_closed")

    async def login(
        self, username: str, password: str, organization_id: str | None, actor: Actor
    ) -> Grant:
        """Raises ``Unauthorized`` (``wrong_credentials``) for whatever is wrong, after one time."""
        name = comparable(username)
        known = (
            None if "\0" in name else await self._database.read(lambda tx: find_person(tx, name))
        )
        if not await self._passwords.verify(password, known.password_hash if known else None):
            raise _wrong()
        assert known is not None

        def unit(tx: Transaction) -> Session | None:
            chosen = _membership(tx, known.id, organization_id)
            if chosen is None or _hash_of(tx, known.id) != known.password_hash:
                return None
            who = Actor(ActorType.PERSON, name, known.id, None, actor.ip, actor.request_id)
            return open_session(tx, chosen, known.id, self._session_lasts, who)

        opened = await self._database.write(unit)
        if opened is None:
            raise _wrong()
        return self._grant(opened)

    async def refresh(self, refresh_token: str, actor: Actor) -> Grant:
        """A new pair for a refresh token that is the newest of its session."""
        said = self._tokens.read_refresh(refresh_token)
        found = said and await self._database.write(
            lambda tx: refresh_session(tx, said[0], said[1], actor)
        )
        if isinstance(found, Reused):
            self._changed()
            raise Unauthorized(
                "This refresh token was used before, so its session has ended: log in again.",
                code="refresh_token_reused",
            )
        if not isinstance(found, Session):
            raise Unauthorized(
                "This refresh token is not valid, or its session is over: log in again.",
                code="refresh_token_invalid",
            )
        return self._grant(found)

    async def logout(self, caller: Caller, actor: Actor) -> None:
        session_id = _session_of(caller)

        def unit(tx: Transaction) -> None:
            if end_sessions(tx, sessions.c.id == session_id):
                subject = "session", session_id
                record(tx, caller.organization_id, actor, "session.closed", subject)

        await self._database.write(unit, tenant=caller.organization_id)
        self._changed()

    async def sessions(self, caller: Caller, after: str | None, limit: int) -> Page[OpenSession]:
        """The person's own that live, in whatever organization, newest first."""
        _, user_id = _session_of(caller), caller.user_id or ""
        found = await self._database.read(lambda tx: open_sessions(tx, user_id, after, limit + 1))
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def close_session(self, caller: Caller, session_id: str, actor: Actor) -> None:
        """Ends one of the person's own, this one too; raises ``NotFound``."""
        _, user_id = _session_of(caller), caller.user_id or ""
        if not is_id(session_id):
            raise NotFound
        await self._database.write(lambda tx: close_session(tx, user_id, session_id, actor))
        self._changed()

    async def change_password(self, caller: Caller, current: str, new: str, actor: Actor) -> None:
        """Ends every other session of the person, in whatever organization."""
        session_id = _session_of(caller)
        user_id = caller.user_id
        assert user_id is not None, "a session is somebody's"
        check_password(new, caller.name, "/new_password")
        known = await self._database.read(lambda tx: _hash_of(tx, user_id))
        if not await self._passwords.verify(current, known):
            raise Unauthorized("The current password is another one.", code="wrong_credentials")
        hashed = await self._passwords.hash(new)

        def unit(tx: Transaction) -> None:
            person = sa.update(users).where(users.c.id == user_id, users.c.password_hash == known)
            if not tx.execute(person.values(password_hash=hashed)).rowcount:
                raise Unauthorized("The current password is another one.", code="wrong_credentials")
            ended = end_sessions(tx, sessions.c.user_id == user_id, sessions.c.id != session_id)
            after = {"sessions_ended": ended}
            subject = "member", user_id
            record(tx, caller.organization_id, actor, "password.changed", subject, after=after)

        await self._database.write(unit)
        self._changed()

    async def describe(self, caller: Caller) -> Identity:
        return await self._database.read(lambda tx: _identity(tx, caller))

    async def accept(self, caller: Caller, token: str, actor: Actor) -> Identity:
        """A person who is logged in becomes a member of one more organization."""
        _session_of(caller)
        user_id = caller.user_id
        assert user_id is not None, "a session is somebody's"

        def unit(tx: Transaction) -> Identity:
            joined = invitation.accept(tx, token, user_id, caller.name, actor)
            return _of_person(tx, user_id, joined.organization_id)

        return await self._database.write(unit)

    def _grant(self, of: Session) -> Grant:
        return Grant(
            self._tokens.issue(of.user_id, of.organization_id, of.id),
            self._tokens.issue_refresh(of.id, of.generation),
            self._tokens.lifetime_seconds,
        )


def _hash_of(tx: Transaction, user_id: str) -> str | None:
    query = sa.select(users.c.password_hash).where(users.c.id == user_id)
    return tx.execute(query).scalar_one_or_none()


def _membership(tx: Transaction, user_id: str, wanted: str | None) -> str | None:
    """The organization to log into: the wanted one, else the first that was joined."""
    query = sa.select(memberships.c.organization_id).where(memberships.c.user_id == user_id)
    if wanted is not None:
        if not is_id(wanted):
            return None
        query = query.where(memberships.c.organization_id == wanted)
    joined = memberships.c.created_at.asc().nulls_first()
    first = query.order_by(joined, memberships.c.organization_id).limit(1)
    return tx.execute(first).scalar_one_or_none()


def _of_person(tx: Transaction, user_id: str, organization_id: str) -> Identity:
    row = tx.execute(
        sa.select(
            users.c.username,
            organizations.c.name,
            memberships.c.role,
            (organizations.c.id == FIRST_ORGANIZATION.scalar_subquery()).label("first"),
        )
        .join_from(memberships, users, users.c.id == memberships.c.user_id)
        .join(organizations, organizations.c.id == memberships.c.organization_id)
        .where(memberships.c.user_id == user_id, organizations.c.id == organization_id)
    ).one()
    role = Role(row.role)
    permissions = permissions_of(role, (EVERYTHING,), first=bool(row.first))
    return Identity(user_id, row.username, organization_id, row.name, role, permissions)


def _identity(tx: Transaction, caller: Caller) -> Identity:
    organization = sa.select(organizations.c.name).where(
        organizations.c.id == caller.organization_id
    )
    name: str = tx.execute(organization).scalar_one()
    username = None
    if caller.user_id is not None:
        person = sa.select(users.c.username).where(users.c.id == caller.user_id)
        username = tx.execute(person).scalar_one()
    key = None
    if caller.key_id is not None:
        row = tx.execute(sa.select(api_keys).where(api_keys.c.id == caller.key_id)).one()
        key = KeyOfOne(row.id, row.name, row.prefix, tuple(row.scopes), row.expires_at)
    permissions = caller.permissions
    return Identity(
        caller.user_id, username, caller.organization_id, name, caller.role, permissions, key
    )


def _session_of(caller: Caller) -> str:
    if caller.session_id is None:
        raise Conflict(
            "This is done with an access token, not with an API key: log in.", code="no_session"
        )
    return caller.session_id


def _wrong() -> Unauthorized:
    return Unauthorized("The address or the password is wrong.", code="wrong_credentials")
