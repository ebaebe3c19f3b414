"""An organization with a member of some role, a key and a session, made below the routes."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.tenancy.key import generate_key
from usina.kernel.tenancy.permission import EVERYTHING, Role
from usina.kernel.tenancy.table import api_keys, memberships, sessions, users


@dataclass(frozen=True)
class Person:
    user_id: str
    organization_id: str
    session_id: str


async def make_member(database: Database, organization_id: str, role: Role) -> Person:
    """A member who has just logged in; nobody knows a password of his."""
    made = Person(new_id(), organization_id, new_id())

    def unit(tx: Transaction) -> None:
        user = {"id": made.user_id, "username": f"{made.user_id}@example.org"}
        _insert(tx, users, **user, password_hash="none", created_at=tx.now)
        whom = {"organization_id": organization_id, "user_id": made.user_id}
        _insert(tx, memberships, **whom, role=role.value, created_at=tx.now)
        end = tx.now.replace(year=tx.now.year + 1)
        moments = {"created_at": tx.now, "refreshed_at": tx.now, "expires_at": end}
        _insert(tx, sessions, **whom, **moments, id=made.session_id, generation=1)

    await database.write(unit)
    return made


async def make_key(
    database: Database,
    organization_id: str,
    scopes: tuple[str, ...] = (EVERYTHING,),
    **more: Any,
) -> str:
    """A key's text; an owner's without a maker, unless told."""
    key = generate_key()
    row = {"role": None if "user_id" in more else Role.OWNER.value, **more}

    def unit(tx: Transaction) -> None:
        _insert(
            tx,
            api_keys,
            id=new_id(),
            organization_id=organization_id,
            name="a key",
            prefix=key.prefix,
            secret_sha256=key.sha256,
            scopes=list(scopes),
            created_at=tx.now,
            **row,
        )

    await database.write(unit)
    return key.text


async def change(database: Database, statement: sa.Update | sa.Delete) -> None:
    def unit(tx: Transaction) -> None:
        tx.execute(statement)

    await database.write(unit)


def _insert(tx: Transaction, table: sa.Table, **row: Any) -> None:
    tx.execute(sa.insert(table), row)
