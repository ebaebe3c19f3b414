"""What every room's tables share: the metadata and the column types of both engines."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Timestamp(sa.types.TypeDecorator[datetime]):
    """An aware moment: ``timestamptz`` on PostgreSQL, microseconds since 1970 on SQLite."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return _EPOCH + timedelta(microseconds=value)


def moment(name: str) -> sa.ColumnElement[datetime]:
    """The moment that is bound so, or that of the transaction where none is."""
    return sa.func.coalesce(sa.bindparam(name, type_=Timestamp), sa.func.now())


class _Present(sa.ColumnElement[datetime]):
    inherit_cache = False
    type = Timestamp()

    def __init__(self, known: sa.BindParameter[datetime]) -> None:
        self.known = known


def present(name: str) -> sa.ColumnElement[datetime]:
    """The moment at which it is written, after whatever the statement waited for, as PostgreSQL
    knows it. SQLite's one writer waits before it begins: there it is the moment bound so."""
    return _Present(sa.bindparam(name, type_=Timestamp(), required=True))


@compiles(_Present, "postgresql")
def _present_on_postgresql(_element: _Present, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(_Present, "sqlite")
def _present_on_sqlite(element: _Present, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.known, **options)


Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSON(none_as_null=True), "postgresql")
"""Kept as it was written, on both: ``jsonb`` would order the keys anew and refuse ``\\u0000``."""

Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A key that the engine counts up; SQLite does so only for its own INTEGER."""
