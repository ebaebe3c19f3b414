"""Prepared statements give what SQLAlchemy's own execution gives, only sooner."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.databases import plan_of
from tests.jobs.make import organization
from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.table import events
from usina.kernel.tenancy.table import organizations

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, UTC)
ADD = Prepared(sa.insert(events), ("organization_id", "job_id", "seq", "type", "at", "data"))
ALL = sa.select(events).order_by(events.c.position)


def row(owner: str, kind: str, **changes: Any) -> dict[str, Any]:
    told = {"organization_id": owner, "job_id": None, "seq": None, "type": kind}
    return told | {"at": MOMENT, "data": {"é": [1, None, {"deep": True}]}} | changes


async def test_rows_come_back_as_the_types_that_went_in(database: Database) -> None:
    owner = await organization(database)

    def unit(tx: Transaction) -> tuple[list[Any], list[Any]]:
        ADD.run_many(tx, [row(owner, "a"), row(owner, "b", at=MOMENT + timedelta(hours=1))])
        ours = Prepared(ALL).all(tx)
        return ours, [tuple(found) for found in tx.execute(ALL)]

    ours, theirs = await database.write(unit)
    assert [tuple(found) for found in ours] == theirs
    assert ours[0].type == "a"
    assert ours[0].at == MOMENT
    assert ours[0].data == {"é": [1, None, {"deep": True}]}
    assert ours[1].at == MOMENT + timedelta(hours=1)


async def test_bound_lists_choose_and_an_empty_one_chooses_nothing(database: Database) -> None:
    owner = await organization(database)
    kinds = Prepared(
        sa.select(events.c.type).where(among(events.c.type, "kinds")).order_by(events.c.position)
    )
    await database.write(lambda tx: ADD.run_many(tx, [row(owner, kind) for kind in "abc"]))

    def found(tx: Transaction, *wanted: str) -> list[str]:
        return [item.type for item in kinds.all(tx, {"kinds": list(wanted)})]

    assert await database.read(lambda tx: found(tx, "c", "a", "x")) == ["a", "c"]
    assert await database.read(found) == []
    assert await database.read(lambda tx: found(tx, "'; DROP TABLE events; --")) == []


async def test_an_update_tells_what_it_changed(database: Database) -> None:
    owner = await organization(database)
    await database.write(lambda tx: ADD.run_many(tx, [row(owner, "a"), row(owner, "b")]))
    rename = Prepared(
        sa.update(events)
        .where(events.c.type == sa.bindparam("old"))
        .values(type=sa.bindparam("new"), data={"fixed": 1}, seq=events.c.position + 40)
        .returning(events.c.type, events.c.data, events.c.seq)
    )
    changed = await database.write(lambda tx: rename.all(tx, {"old": "b", "new": "c"}))
    assert [tuple(found) for found in changed] == [("c", {"fixed": 1}, 42)]


async def test_a_list_is_looked_up_by_the_index(database: Database) -> None:
    owner = await organization(database)
    by_id = sa.select(organizations.c.id).where(among(organizations.c.id, "ids"))
    plan = await database.read(lambda tx: plan_of(tx, by_id, {"ids": [owner]}))
    assert re.search("SEARCH organizations USING|Index .*Scan using pk_organizations", plan), plan


async def test_a_name_that_is_not_bound_is_an_error_and_nothing_happens(database: Database) -> None:
    owner = await organization(database)
    incomplete = row(owner, "a")
    del incomplete["data"]
    with pytest.raises(KeyError, match="data"):
        await database.write(lambda tx: ADD.run_many(tx, [row(owner, "b"), incomplete]))
    assert await database.read(lambda tx: Prepared(ALL).all(tx)) == []
