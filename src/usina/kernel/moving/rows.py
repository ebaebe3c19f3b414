"""Every row of one database into another, of either engine, in one transaction.

The tables are those of the metadata, so a new one is carried without anybody thinking of it. Values
go by the types of their columns; JSON is text on both engines and stays as it was written.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.util import await_only

from usina.kernel.db.meta import COPYING, meta
from usina.kernel.db.schema import metadata
from usina.kernel.errors import Conflict
from usina.kernel.failpoints import reach

LEFT_BEHIND: Final = frozenset({"programs", "workers"})
"""What is only true where it was written."""

_BATCH: Final = 5000
_ALEMBIC: Final = "alembic_version"

Watch = Callable[[str, int, int], None]
"""Told of a table or ``objects``, how much is done, and of how much."""


def carried() -> list[sa.Table]:
    """The tables, each after those that it refers to."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_BEHIND]


def refuse_unknown_tables(source: sa.Connection) -> None:
    """Better no copy than one that lacks what only a newer or extended Usina knows."""
    named = sa.inspect(source).get_table_names()
    whole = {name for name in named if not name.startswith("events_")}  # not the log's partitions
    if unknown := sorted(whole - set(metadata.tables) - {_ALEMBIC}):
        raise Conflict(
            f"The source has tables that this Usina does not know: {', '.join(unknown)}. Copy it "
            "with the Usina that made them, or drop them.",
            code="copy_unknown_tables",
        )


def copy_rows(source: sa.Connection, target: sa.Connection, watch: Watch) -> dict[str, int]:
    """Replaces what the target has; how many rows each table got. All of it is there, or none."""
    copied: dict[str, int] = {}
    with target.begin():
        _let_the_owner_copy(target, "NO FORCE")
        for table in reversed(carried()):
            target.execute(sa.delete(table).where(*_not_the_mark(table)))
        for table in carried():
            copied[table.name] = _copy_table(table, source, target, watch)
            _count_on(table, target)
        _let_the_owner_copy(target, "FORCE")
        reach("copy.in_transaction")
    return copied


def _let_the_owner_copy(target: sa.Connection, force: str) -> None:
    """COPY does not go through policies, so they are lifted for the owner until the end."""
    if target.dialect.name != "postgresql":
        return
    walled = target.exec_driver_sql(
        "SELECT relname FROM pg_class WHERE relrowsecurity"
        " AND relnamespace = current_schema()::regnamespace"
    )
    for name in walled.scalars().all():
        target.exec_driver_sql(f"ALTER TABLE {name} {force} ROW LEVEL SECURITY")


def count_rows(connection: sa.Connection) -> dict[str, int]:
    """How many rows each carried table has; the mark of a copy does not count."""
    return {table.name: _count(table, connection) for table in carried()}


def _count(table: sa.Table, connection: sa.Connection) -> int:
    rows = sa.select(sa.func.count()).select_from(table).where(*_not_the_mark(table))
    return connection.execute(rows).scalar_one()


def _not_the_mark(table: sa.Table) -> Sequence[sa.ColumnElement[bool]]:
    return [meta.c.key != COPYING] if table is meta else []


def _copy_table(table: sa.Table, source: sa.Connection, target: sa.Connection, watch: Watch) -> int:
    total, done = _count(table, source), 0
    read = sa.select(*(_as_carried(column) for column in table.columns))
    read = read.where(*_not_the_mark(table)).execution_options(yield_per=_BATCH)
    write = _writer(table, target)
    for batch in source.execute(read).partitions():
        write(batch)
        done += len(batch)
        watch(table.name, done, total)
    return done


def _as_carried(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.JSON) else column


_Write = Callable[[Sequence[Sequence[Any]]], None]
_Convert = Callable[[Any], Any]


def _writer(table: sa.Table, target: sa.Connection) -> _Write:
    """Puts batches into the table by the quickest way that the engine has."""
    names = [column.name for column in table.columns]
    converts = _conversions(table, target.dialect)
    raw: Any = target.connection.driver_connection

    def converted(batch: Sequence[Sequence[Any]]) -> list[list[Any]]:
        rows = [list(row) for row in batch]
        for place, convert in converts.items():
            for row in rows:
                row[place] = convert(row[place])
        return rows

    if target.dialect.name == "postgresql":
        return lambda batch: await_only(
            raw.copy_records_to_table(table.name, records=converted(batch), columns=names)
        )
    quoted = ", ".join(map(target.dialect.identifier_preparer.quote, names))
    marks = ", ".join("?" * len(names))
    insert = f"INSERT INTO {table.name} ({quoted}) VALUES ({marks})"  # noqa: S608  # our own names
    return lambda batch: raw.executemany(insert, converted(batch))


def _conversions(table: sa.Table, dialect: sa.Dialect) -> Mapping[int, _Convert]:
    """What a value needs before the driver gets it, by its place; most need nothing."""
    found: dict[int, _Convert] = {}
    for place, column in enumerate(table.columns):
        convert = column.type.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None and not isinstance(column.type, sa.JSON):
            found[place] = convert
    return found


def _count_on(table: sa.Table, target: sa.Connection) -> None:
    """The next row that the engine numbers comes after those that were carried."""
    column = table.autoincrement_column
    if column is None or not isinstance(column.type, sa.Integer) or column.foreign_keys:
        return
    if target.dialect.name == "postgresql":  # SQLite goes by the largest by itself
        newest = sa.select(sa.func.max(column)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        after = sa.func.setval(sequence, sa.func.coalesce(newest, 1), newest.is_not(None))
        target.execute(sa.select(after))
