"""Persons: their address, by which they log in, and the organizations that they join."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Invalid
from usina.kernel.ids import new_id
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.permission import Role
from usina.kernel.tenancy.table import memberships, users
from usina.kernel.text import refuse_nul

_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,255}")


def checked_email(text: str, pointer: str) -> str:
    """The address in the one form in which it is kept and compared; raises ``Invalid``."""
    refuse_nul(text, pointer)
    if _EMAIL.fullmatch(text) is None:
        raise Invalid.at(pointer, "This has to be an address such as ada@example.org.")
    return comparable(text)


def comparable(username: str) -> str:
    """How names are kept: in lower case."""
    return username.strip().lower()


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    password_hash: str


def find_person(tx: Transaction, username: str) -> Person | None:
    query = sa.select(users.c.id, users.c.password_hash).where(users.c.username == username)
    row = tx.execute(query).one_or_none()
    return None if row is None else Person(row.id, row.password_hash)


async def names_of(database: Database, user_ids: Sequence[str]) -> dict[str, str]:
    """The names of persons, who are behind no organization's wall."""
    if not user_ids:
        return {}
    query = sa.select(users.c.id, users.c.username).where(users.c.id.in_(set(user_ids)))
    rows = await database.read(lambda tx: tx.execute(query).all())
    return {row.id: row.username for row in rows}


def put_person(tx: Transaction, username: str, password_hash: str) -> tuple[str, bool]:
    """The person's id, and whether it is new; who is there already keeps the password."""
    take_turns(tx, [f"person {username}"])
    if (known := find_person(tx, username)) is not None:
        return known.id, False
    row = {"id": new_id(), "username": username, "password_hash": password_hash}
    tx.execute(sa.insert(users), {**row, "created_at": tx.now})
    return row["id"], True


def join(
    tx: Transaction,
    organization_id: str,
    user_id: str,
    username: str,
    role: Role,
    actor: Actor,
    invitation: str | None = None,
) -> bool:
    """Makes the person a member; false where it is one already."""
    take_turns(tx, [f"member {organization_id} {user_id}"])
    whom = {"organization_id": organization_id, "user_id": user_id}
    if tx.execute(sa.select(memberships.c.role).filter_by(**whom)).one_or_none() is not None:
        return False
    tx.execute(sa.insert(memberships), {**whom, "role": role.value, "created_at": tx.now})
    after = {"email": username, "role": role.value}
    if invitation is not None:
        after["invitation"] = invitation
    record(tx, organization_id, actor, "member.joined", ("member", user_id), after=after)
    return True
