"""Founding: how an organization begins."""

import sqlalchemy as sa

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, Invalid
from usina.kernel.ids import new_id
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.table import organizations
from usina.kernel.text import refuse_nul


def found_organization(tx: Transaction, name: str, pointer: str, actor: Actor) -> str:
    """A new organization's id; of two that take a name at once, one gets it.

    Raises ``Invalid`` at the pointer and ``Conflict`` (``name_taken``).
    """
    name = checked_name(name, pointer)
    take_turns(tx, ["organizations"])
    known = sa.select(organizations.c.id).where(organizations.c.name == name)
    if tx.execute(known).one_or_none() is not None:
        raise name_taken(name)
    organization_id = new_id()
    row = {"id": organization_id, "name": name, "created_at": tx.now}
    tx.execute(sa.insert(organizations), row)
    subject = "organization", organization_id
    record(tx, organization_id, actor, "organization.created", subject, after={"name": name})
    return organization_id


def checked_name(name: str, pointer: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise Invalid.at(pointer, "The name of an organization has 1 to 200 characters.")
    refuse_nul(name, pointer)
    return name


def name_taken(name: str) -> Conflict:
    return Conflict(f"There is an organization named {name!r}.", code="name_taken")
