"""Every value of every table arrives as it was, whatever engine it comes from and goes to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.databases import open_sqlite
from tests.moving.look import content_of
from usina.kernel.clock import SystemClock
from usina.kernel.db.connect import Address, connected, in_greenlet, upgrade_database
from usina.kernel.db.schema import Timestamp, metadata
from usina.kernel.errors import Conflict, Unavailable
from usina.kernel.ids import new_id
from usina.kernel.moving import rows
from usina.kernel.moving.rows import LEFT_BEHIND, carried, copy_rows, refuse_unknown_tables

_ROWS = 5
_MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)
_ODD = {"z": 1, "a": [None, True, 1.5, 2**70, "naïve \u0000 😀"], "empty": {}}


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BATCH", 2)


async def test_all_tables_survive_the_way_there_and_back(tmp_path: Path, postgres_url: str) -> None:
    there, back = tmp_path / "there.sqlite", tmp_path / "back.sqlite"
    for path in (there, back):
        await upgrade_database(path)
    await _fill(there)

    copied = await _copy(there, postgres_url)
    await _copy(postgres_url, back)

    assert set(copied) == set(metadata.tables) - LEFT_BEHIND
    for name, number in copied.items():
        assert number >= _ROWS, f"{name} had no row to carry"
    wanted = await content_of(there)
    assert await content_of(postgres_url) == wanted
    assert await content_of(back) == wanted


async def test_json_stays_as_it_was_written(tmp_path: Path, postgres_url: str) -> None:
    source = tmp_path / "source.sqlite"
    await upgrade_database(source)
    await _fill(source)
    written = '{"b" :1.0, "a": 12345678901234567890123, "c":[ ]}'
    await _change(source, f"UPDATE events SET data = '{written}'")

    await _copy(source, postgres_url)

    assert await _scalars(postgres_url, "SELECT data::text FROM events") == [written] * _ROWS


async def test_what_is_numbered_goes_on_after_the_last_one(
    tmp_path: Path, postgres_url: str
) -> None:
    source, back = tmp_path / "source.sqlite", tmp_path / "back.sqlite"
    for path in (source, back):
        await upgrade_database(path)
    await _fill(source)
    await _copy(source, postgres_url)
    await _copy(postgres_url, back)

    for address in (postgres_url, back):
        await _change(
            address,
            "INSERT INTO events (organization_id, type, at, data)"
            " SELECT organization_id, 'x', at, data FROM events WHERE position = 1",
        )
        newest = await _scalars(address, "SELECT position FROM events ORDER BY position")
        assert newest == [1, 2, 3, 4, 5, 6]


async def test_a_copy_replaces_what_an_earlier_one_left(tmp_path: Path, postgres_url: str) -> None:
    source = tmp_path / "source.sqlite"
    await upgrade_database(source)
    await _fill(source)
    await _copy(source, postgres_url)
    await _change(source, "DELETE FROM job_labels")

    assert (await _copy(source, postgres_url))["job_labels"] == 0

    assert await content_of(postgres_url) == await content_of(source)


async def test_the_tables_of_a_database_are_those_that_are_carried(postgres_url: str) -> None:
    async with connected(postgres_url, read_only=True) as connection:
        found = await in_greenlet(lambda: set(sa.inspect(connection).get_table_names()))

    names = {table.name for table in carried()}
    whole = {name for name in found if not name.startswith("events_")}  # not the log's partitions
    assert whole - names - LEFT_BEHIND - {"alembic_version"} == set()
    assert names <= found


async def test_a_table_that_nobody_knows_is_not_lost_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "usina.sqlite"
    await open_sqlite(tmp_path, SystemClock()).close()
    await _change(path, "CREATE TABLE of_tomorrow (id INTEGER)")

    async with connected(path, read_only=True) as connection:
        with pytest.raises(Conflict, match="of_tomorrow"):
            refuse_unknown_tables(connection)


async def _copy(source: Address, target: Address) -> dict[str, int]:
    async with (
        connected(source, read_only=True) as origin,
        connected(target, read_only=False) as there,
    ):
        return await in_greenlet(lambda: copy_rows(origin, there, lambda what, done, total: None))


async def _fill(address: Address) -> None:
    """Some rows in every table, with a value, or none, in every column."""

    def work(connection: sa.Connection) -> None:
        known: dict[str, list[Any]] = {}
        with connection.begin():
            for table in carried():
                made = [_row(table, number, known) for number in range(1, _ROWS + 1)]
                connection.execute(sa.insert(table), made)
                for column in table.primary_key:
                    known[f"{table.name}.{column.name}"] = [row[column.name] for row in made]

    async with connected(address, read_only=False) as connection:
        await in_greenlet(lambda: work(connection))


def _row(table: sa.Table, number: int, known: dict[str, list[Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.foreign_keys:
            [key] = column.foreign_keys
            row[column.name] = known[key.target_fullname][number - 1]
        elif column.nullable and number % 2 == 0:
            row[column.name] = None
        else:
            row[column.name] = _value(column, number)
    return row


_NUMBERS: Iterator[int] = count(1)


def _value(column: sa.Column[Any], number: int) -> Any:
    kind = column.type
    if isinstance(kind, Timestamp):
        return _MOMENT + timedelta(microseconds=number)
    if isinstance(kind, sa.JSON):
        return [_ODD, [], {}, "text", 0][number - 1]
    if isinstance(kind, sa.Boolean):
        return number % 2 == 1
    if isinstance(kind, sa.LargeBinary):
        return bytes(range(256)) * number
    if isinstance(kind, sa.BigInteger):
        return number if column.primary_key else 2**62 + number
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, sa.Float):
        return number / 3
    assert isinstance(kind, sa.String), f"{column} is of a type that this test does not know"
    if kind.length == 36:
        return new_id()
    return f"é{next(_NUMBERS)}"


async def _change(address: Address, statement: str) -> None:
    def work(connection: sa.Connection) -> None:
        with connection.begin():
            connection.exec_driver_sql(statement)

    async with connected(address, read_only=False) as connection:
        await in_greenlet(lambda: work(connection))


async def _scalars(address: Address, query: str) -> list[Any]:
    async with connected(address, read_only=True) as connection:
        return await in_greenlet(lambda: [*connection.exec_driver_sql(query).scalars()])


async def test_a_server_that_goes_away_is_told_of_in_words(postgres_url: str) -> None:
    async def outlive() -> None:
        async with connected(postgres_url, read_only=True) as connection:
            die = sa.text("SELECT pg_terminate_backend(pg_backend_pid())")
            await in_greenlet(lambda: connection.execute(die))

    with pytest.raises(Unavailable, match="Look at DATABASE_URL") as caught:
        await outlive()
    assert caught.value.code == "database_unavailable"
