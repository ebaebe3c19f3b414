"""The second wall: what forgets the tenant filter still sees and changes one organization alone."""

import ast
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

import usina
from tests.jobs.make import LEASE, NEW_JOB, silent, take
from tests.postgres import PostgresServer, new_server, postgres_server
from usina.kernel.db import meta
from usina.kernel.db.postgres import (
    NotUsable,
    PostgresDatabase,
    PostgresOptions,
    upgrade_postgres,
)
from usina.kernel.db.schema import Timestamp, metadata
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.db.wall import RolesMissing
from usina.kernel.events.log import forget_before, read_after
from usina.kernel.ids import new_id
from usina.kernel.jobs.store.change import cancel, delete
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.query import JobFilter, find, page
from usina.kernel.tenancy.service import Tenancy
from usina.moving import load_tables

load_tables()  # of every room, whoever asked for one before

SOURCE = Path(usina.__file__).parent
OF_NOBODY = {"meta", "programs", "queues", "users", "workers"}


class Undone(Exception):
    """Leaves nothing of a unit."""


def one_of(table: sa.Table, known: Mapping[str, str], now: object) -> dict[str, Any]:
    """A row that the table takes; ``known`` are the ids by the names of columns."""
    row: dict[str, Any] = {}
    for column in table.c:
        if column.name in known:
            row[column.name] = known[column.name]
        elif not column.nullable and not (column.server_default or column.autoincrement is True):
            row[column.name] = value_of(column, now)
    return row | ({"id": known["organization_id"]} if table.name == "organizations" else {})


def value_of(column: sa.Column[Any], now: object) -> object:
    kinds: tuple[tuple[type, object], ...] = (
        (Timestamp, now),
        (sa.Boolean, False),
        (sa.Integer, 1),
        (sa.Float, 1.0),
        (sa.JSON, {}),
        (sa.LargeBinary, b"x"),
        (sa.String, new_id()),
    )
    found = next(value for kind, value in kinds if isinstance(column.type, kind))
    length = getattr(column.type, "length", None)
    return found[-length:] if isinstance(found, str) and length else found


async def fill(database: PostgresDatabase) -> dict[str, str]:
    """A row of an organization's own in every table; its ids."""
    pointed_at = {key.column.table.name for t in metadata.sorted_tables for key in t.foreign_keys}
    ids = {f"{name[:-1]}_id": new_id() for name in {*pointed_at, "jobs"}}

    def unit(tx: Transaction) -> None:
        for table in metadata.sorted_tables:
            own = ids | {"id": ids.get(f"{table.name[:-1]}_id", new_id())}
            tx.execute(sa.insert(table), one_of(table, own, tx.now))

    await database.write(unit)
    return ids


def behind() -> list[sa.Table]:
    return [table for table in metadata.sorted_tables if table.name not in OF_NOBODY]


def counts(tx: Transaction) -> dict[str, int]:
    one = sa.select(sa.func.count())
    return {t.name: tx.execute(one.select_from(t)).scalar_one() for t in behind()}


async def test_a_read_without_the_filter_shows_one_organization_alone(
    postgres: PostgresDatabase,
) -> None:
    ours, theirs = await fill(postgres), await fill(postgres)
    assert set((await postgres.read(counts)).values()) == {2}
    for ids in (ours, theirs):
        found = await postgres.read(counts, tenant=ids["organization_id"])
        assert found == dict.fromkeys(found, 1)
    for nobody in (new_id(), ""):
        assert set((await postgres.read(counts, tenant=nobody)).values()) == {0}


async def test_what_is_no_organization_opens_no_transaction(postgres: PostgresDatabase) -> None:
    ours = await fill(postgres)
    for nobody in ("x", f"{ours['organization_id']}'; SET LOCAL ROLE usina_engine; --"):
        with pytest.raises(ValueError, match="UUID"):
            await postgres.read(counts, tenant=nobody)
        with pytest.raises(ValueError, match="UUID"):
            await postgres.write(counts, tenant=nobody)


async def test_a_change_without_the_filter_changes_one_organization_alone(
    postgres: PostgresDatabase,
) -> None:
    ours = await fill(postgres)
    await fill(postgres)

    def change_all(tx: Transaction) -> dict[str, tuple[int, int]]:
        tx.execute(sa.text("SET CONSTRAINTS ALL DEFERRED"))
        changed: dict[str, tuple[int, int]] = {}
        for table in reversed(behind()):
            column = next(iter(table.c))
            updated = tx.execute(sa.update(table).values({column: column})).rowcount
            changed[table.name] = updated, tx.execute(sa.delete(table)).rowcount
        return changed

    changed = await postgres.write(change_all, tenant=ours["organization_id"])
    assert changed == dict.fromkeys(changed, (1, 1))
    assert await postgres.read(counts) == dict.fromkeys(changed, 1)


async def test_nothing_is_written_in_another_organizations_name(postgres: PostgresDatabase) -> None:
    ours, theirs = await fill(postgres), await fill(postgres)
    before = await postgres.read(counts)
    for table in behind():

        def smuggle(tx: Transaction, table: sa.Table = table) -> None:
            fresh = theirs | {"id": new_id(), "name": new_id(), "source_id": new_id()}
            row = one_of(table, fresh, tx.now)
            if table.name == "organizations":
                row["id"] = new_id()
            tx.execute(sa.insert(table), row)

        with pytest.raises(DBAPIError, match="row-level security"):
            await postgres.write(smuggle, tenant=ours["organization_id"])
    assert await postgres.read(counts) == before


@pytest.mark.parametrize("table", ["meta", "users", "alembic_version"])
async def test_what_belongs_to_no_organization_is_hidden_from_requests(
    postgres: PostgresDatabase, table: str
) -> None:
    query = sa.text(f"SELECT * FROM {table}")
    await postgres.read(lambda tx: tx.execute(query))
    with pytest.raises(DBAPIError, match="permission denied"):
        await postgres.read(lambda tx: tx.execute(query), tenant=new_id())


async def test_a_new_table_is_behind_the_wall_after_an_upgrade_and_closed_before(
    postgres: PostgresDatabase, postgres_url: str
) -> None:
    ours, theirs = await fill(postgres), await fill(postgres)
    owner: Any = await asyncpg.connect(postgres_url)
    await owner.execute("CREATE TABLE devices (organization_id uuid)")
    await owner.execute("CREATE TABLE frames (job_id uuid REFERENCES jobs)")
    for ids in (ours, theirs):
        await owner.execute("INSERT INTO devices VALUES ($1)", ids["organization_id"])
        await owner.execute("INSERT INTO frames VALUES ($1)", ids["job_id"])

    def seen(tx: Transaction) -> list[int]:
        every = [sa.text(f"SELECT count(*) FROM {name}") for name in ("devices", "frames")]
        return [tx.execute(query).scalar_one() for query in every]

    for tenant in (None, ours["organization_id"]):
        with pytest.raises(DBAPIError, match="permission denied"):
            await postgres.read(seen, tenant=tenant)
    await upgrade_postgres(postgres_url)
    assert await postgres.read(seen) == [2, 2]
    assert await postgres.read(seen, tenant=ours["organization_id"]) == [1, 1]
    await owner.close()


async def test_every_table_with_an_owner_is_forced_behind_its_policies(postgres_url: str) -> None:
    """Also for the role that owns it; and partitions are closed to all but through their table."""
    found: Any = await asyncpg.connect(postgres_url)
    tables = await found.fetch(
        "SELECT relname, relispartition, relrowsecurity AND relforcerowsecurity AS walled,"
        " has_table_privilege('usina_request', oid, 'SELECT, INSERT, UPDATE, DELETE') AS open"
        " FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace"
    )
    await found.close()
    names = {row["relname"] for row in tables if not row["relispartition"]}
    assert names == set(metadata.tables) | {"alembic_version"}
    for row in tables:
        if row["relispartition"]:
            assert not row["open"], row
        elif row["relname"] in OF_NOBODY | {"alembic_version"}:
            assert not row["walled"], row
        else:
            assert row["walled"], row


async def test_nothing_of_a_tenant_stays_in_its_session(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=1))
    ours, theirs = await fill(database), await fill(database)
    count = sa.text("SELECT count(*) FROM jobs")

    def fails(tx: Transaction) -> None:
        tx.execute(count)
        raise Undone

    for tenant, rows in ((ours, 1), (None, 2), (theirs, 1), (None, 2)):
        owner = tenant and tenant["organization_id"]
        with pytest.raises(Undone):
            await database.write(fails, tenant=owner)
        assert await database.read(lambda tx: tx.execute(count).scalar_one(), tenant=owner) == rows
    session = sa.text(
        "SELECT pg_backend_pid(), session_user, current_setting('usina.organization_id')"
    )
    assert (await database.read(lambda tx: tx.execute(session).one()))[1:] == ("postgres", "")
    await database.close()


def makes_plain_role(name: str, rest: str = "") -> str:
    return f"CREATE ROLE {name} LOGIN {rest}"


STORY = ["job.queued", "job.running", "job.succeeded"]


async def story(url: str, options: PostgresOptions | None = None) -> list[str]:
    """What a platform does with its database, in short; and what its log tells of it."""
    database = PostgresDatabase(url, options)
    await database.write(meta.prepare)
    owner = (await Tenancy(database).create_organization("lab")).organization_id
    other = (await Tenancy(database).create_organization("others")).organization_id
    new = [replace(NEW_JOB, organization_id=each) for each in (owner, other)]
    await database.write(lambda tx: insert_jobs(tx, new, silent))
    claimed = await take(database, free=2)
    endings = [Ending(one.lease, None) for one in claimed]
    await database.write(lambda tx: finish(tx, endings, 1, silent))
    [mine] = [one.job for one in claimed if one.job.organization_id == owner]
    found = await database.read(lambda tx: find(tx, owner, mine.id, LEASE), tenant=owner)
    assert found is not None
    assert found.status == "SUCCEEDED"
    told = await database.read(lambda tx: read_after(tx, owner, None, None, 10), tenant=owner)
    await database.write(lambda tx: cancel(tx, owner, mine.id, silent), tenant=owner)
    await database.write(lambda tx: delete(tx, owner, mine.id), tenant=owner)
    await database.write(lambda tx: forget_before(tx, tx.now, 10))
    every = await database.read(
        lambda tx: page(tx, other, JobFilter(), None, 9, LEASE), tenant=other
    )
    assert len(every) == 1
    await database.close()
    return [event.type for event in told]


async def upgrading(url: str) -> asyncio.subprocess.Process:
    """A process that brings a database to its newest revision."""
    code = (
        "import asyncio, sys; from usina.kernel.db.postgres import upgrade_postgres;"
        " asyncio.run(upgrade_postgres(sys.argv[1]))"
    )
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, url)


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    """A server that knows nothing of the roles."""
    server = await asyncio.to_thread(new_server)
    yield server
    await asyncio.to_thread(server.stop)


async def test_roles_are_made_once_for_many_databases_by_a_role_that_may(
    server: PostgresServer,
) -> None:
    await server.execute(makes_plain_role("plant", "CREATEROLE"))
    names = ("one", "two", "three")
    for name in names:
        await server.execute(f"CREATE DATABASE {name} OWNER plant")
    at_once = [await upgrading(server.url(name, "plant")) for name in names]
    assert [await process.wait() for process in at_once] == [0, 0, 0]
    for name in names:
        await upgrade_postgres(server.url(name, "plant"))
        assert await story(server.url(name, "plant")) == STORY


async def test_who_may_not_make_roles_is_told_what_an_administrator_runs(
    server: PostgresServer,
) -> None:
    await server.execute(makes_plain_role("plant"))
    await server.execute("CREATE DATABASE plant OWNER plant")
    url = server.url("plant", "plant")
    with pytest.raises(NotUsable) as refused:
        await upgrade_postgres(url)
    told = [line.strip() for line in refused.value.detail.splitlines() if line.endswith(";")]
    assert told[-1] == 'GRANT usina_request, usina_engine TO "plant";'
    for statement in told:
        await server.execute(statement)
    await upgrade_postgres(url)
    assert await story(url) == STORY


async def test_the_role_that_serves_need_not_be_the_one_that_owns() -> None:
    server = postgres_server()
    owner, serving = f"o{new_id().replace('-', '')}", f"s{new_id().replace('-', '')}"
    await server.execute(makes_plain_role(owner))
    await server.execute(makes_plain_role(serving))
    name = await server.empty()
    await server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
    await server.execute(f"GRANT usina_request, usina_engine TO {owner}")
    await upgrade_postgres(server.url(name, owner))
    early = PostgresDatabase(server.url(name, serving))
    with pytest.raises(RolesMissing, match="usina db upgrade"):
        await early.read(meta.epoch)
    await early.close()
    await server.execute(f"GRANT usina_request, usina_engine TO {serving}")
    await upgrade_postgres(server.url(name, serving))
    assert await story(server.url(name, serving)) == STORY
    await server.drop(name)
    await server.execute(f"DROP ROLE {owner}, {serving}")


def units_for_callers() -> Iterator[tuple[str, ast.Call]]:
    """Calls of the database in functions that are told whom they work for."""
    for path in sorted(SOURCE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            told = {
                argument.arg
                for argument in ast.walk(function.args)
                if isinstance(argument, ast.arg)
            }
            if told & {"caller", "organization_id", "call", "claim"}:
                where = f"{path.relative_to(SOURCE)}:{function.name}"
                yield from ((where, call) for call in ast.walk(function) if _is_unit(call))


def _is_unit(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=on, attr="read" | "write")):
            return ast.unparse(on).endswith("database")
    return False


def test_every_unit_that_works_for_a_caller_says_so() -> None:
    persons = {"login", "change_password", "accept", "describe"}
    persons |= {"sessions", "close_session"}  # who are of no organization
    engine = {"kernel/tenancy/service.py:replace_first_key"}
    engine |= {f"kernel/tenancy/account.py:{name}" for name in persons}
    found = list(units_for_callers())
    assert len(found) >= 17
    silent_ones = {
        where for where, call in found if not any(word.arg == "tenant" for word in call.keywords)
    }
    assert silent_ones == engine
