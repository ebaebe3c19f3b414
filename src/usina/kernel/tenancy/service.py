"""Who may call: organizations, owners and API keys."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from pwdlib import PasswordHash

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid
from usina.kernel.ids import new_id
from usina.kernel.tenancy.gate import FIRST_ORGANIZATION
from usina.kernel.tenancy.key import NewKey, describe_key, generate_key
from usina.kernel.tenancy.permission import EVERYTHING, Role
from usina.kernel.tenancy.table import api_keys, memberships, organizations, users
from usina.kernel.text import refuse_nul

_BOOTSTRAP_KEY: Final = "first key"


@dataclass(frozen=True, slots=True)
class CreatedOrganization:
    organization_id: str
    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What a seed made or changed; an empty list means that all was there already."""

    organization_id: str
    changes: tuple[str, ...]


class Tenancy:
    """Makes organizations; every method is safe to repeat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_organization(self, name: str) -> CreatedOrganization:
        """A new organization with its first key; the key's text is known only here."""
        name = name.strip()
        if not 1 <= len(name) <= 200:
            raise Invalid.at("/name", "The name of an organization has 1 to 200 characters.")
        refuse_nul(name, "/name")
        key = generate_key()

        def unit(tx: Transaction) -> str:
            take_turns(tx, ["organizations"])
            if _organization_named(tx, name) is not None:
                raise Conflict(f"There is an organization named {name!r}.", code="name_taken")
            organization_id = _insert_organization(tx, name)
            _insert_key(tx, organization_id, _BOOTSTRAP_KEY, key)
            return organization_id

        return CreatedOrganization(await self._database.write(unit), name, key.text)

    async def seed(
        self, username: str | None, password: str | None, api_key: str | None
    ) -> SeedReport:
        """The first organization, and its owner and key where given; repeating changes nothing."""

        def unit(tx: Transaction) -> SeedReport:
            take_turns(tx, ["organizations"])
            changes: list[str] = []
            organization_id = _first_organization(tx)
            if organization_id is None:
                organization_id = _insert_organization(tx, "main")
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
                    api_keys.c.revoked_at.is_(None),
                )
                .values(revoked_at=tx.now)
            )
            _insert_key(tx, organization_id, _BOOTSTRAP_KEY, key)

        await self._database.write(unit)
        return key.text


def _organization_named(tx: Transaction, name: str) -> str | None:
    return tx.execute(
        sa.select(organizations.c.id).where(organizations.c.name == name)
    ).scalar_one_or_none()


def _first_organization(tx: Transaction) -> str | None:
    return tx.execute(FIRST_ORGANIZATION).scalar_one_or_none()


def _insert_organization(tx: Transaction, name: str) -> str:
    organization_id = new_id()
    tx.execute(
        sa.insert(organizations), {"id": organization_id, "name": name, "created_at": tx.now}
    )
    return organization_id


def _insert_key(tx: Transaction, organization_id: str, name: str, key: NewKey) -> None:
    row: dict[str, Any] = {
        "id": new_id(),
        "organization_id": organization_id,
        "name": name,
        "prefix": key.prefix,
        "secret_sha256": key.sha256,
        "role": Role.OWNER.value,
        "scopes": [EVERYTHING],
        "created_at": tx.now,
    }
    tx.execute(sa.insert(api_keys), row)


def _put_key(tx: Transaction, organization_id: str, key: NewKey) -> bool:
    """True when the key was new."""
    known = tx.execute(
        sa.select(api_keys.c.id).where(api_keys.c.secret_sha256 == key.sha256)
    ).scalar_one_or_none()
    if known is None:
        _insert_key(tx, organization_id, "first superuser", key)
    return known is None


def _put_owner(tx: Transaction, organization_id: str, username: str, password: str) -> bool:
    """True when the owner was new or its password another."""
    hasher = PasswordHash.recommended()
    row = tx.execute(sa.select(users).where(users.c.username == username)).one_or_none()
    if row is not None and hasher.verify(password, row.password_hash):
        return False
    if row is not None:
        changed = {"password_hash": hasher.hash(password)}
        tx.execute(sa.update(users).where(users.c.id == row.id).values(changed))
        return True
    user_id = new_id()
    tx.execute(
        sa.insert(users),
        {
            "id": user_id,
            "username": username,
            "password_hash": hasher.hash(password),
            "created_at": tx.now,
        },
    )
    tx.execute(
        sa.insert(memberships),
        {"organization_id": organization_id, "user_id": user_id, "role": Role.OWNER.value},
    )
    return True
