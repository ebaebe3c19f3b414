"""Statements of the hot paths: built with Core, compiled once, run by the driver itself.

SQLAlchemy's own execution costs some ten microseconds a statement, ten times the driver. Here the
SQL, the order of its parameters and the conversions of its types are worked out at the first use
and kept; what is left is one call of the driver.
"""

import logging
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.compiler import SQLCompiler

from usina.kernel.db.joined import AFTER, Effect
from usina.kernel.db.unit_of_work import Transaction

Statement = sa.Select[*tuple[Any, ...]] | sa.Insert | sa.Update | sa.Delete
_Convert = Callable[[Any], Any]
_NOTHING: Final[Mapping[str, Any]] = {}
_VALUE: Final = re.compile(r"\$(\d+)::(?:TIMESTAMP WITH TIME ZONE|[A-Z]+(?:\(\d+\))?)(?!\[)")
"""A place with its type, as PostgreSQL's dialect writes it."""

_log: Final = logging.getLogger("sqlalchemy.engine.prepared")


class Prepared:
    """One statement; its parameters are its bound names.

    An INSERT names the ``columns`` that its rows hold. Lists are bound by :func:`among`. An answer
    that ``tells_now`` brings the transaction's moment along, where that has to be asked for.
    """

    def __init__(
        self,
        statement: Statement,
        columns: Sequence[str] | None = None,
        *,
        tells_now: bool = False,
    ) -> None:
        self._statement = statement
        self._telling = _with_now(statement) if tells_now else None
        self._columns = None if columns is None else list(columns)
        self._forms: dict[str, _Form] = {}

    def all(self, tx: Transaction, values: Mapping[str, Any] = _NOTHING) -> list[Any]:
        """Runs it and returns every row, as a tuple with the columns' names."""
        form = self._form(tx)
        return _heard(tx, form, tx.driver.execute(form.sql, form.bound(values)).fetchall())

    def ask_many(self, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Runs a write for each of the rows and returns every answer; where writes wait, in one way
        with them, of which it sees nothing."""
        form = self._form(tx)
        bound = [form.bound(values) for values in rows]
        found: list[Any] = []
        for some in [bound] if form.takes_many else [[one] for one in bound]:
            if tx.effects is not None and (effect := form.effect(some)) is not None:
                found += tx.effects.ask(effect)
            else:
                for one in some:
                    found += tx.driver.execute(form.sql, one).fetchall()
        return _heard(tx, form, found)

    def run(self, tx: Transaction, values: Mapping[str, Any] = _NOTHING) -> None:
        """Runs it for its effect."""
        self.run_many(tx, [values])

    def run_many(self, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs it once for each of the rows, at once or before anything else is asked."""
        form = self._form(tx)
        bound = [form.bound(values) for values in rows]
        assert not form.answers, "nobody would hear what it answers"
        if tx.effects is not None and (effect := form.effect(bound)) is not None:
            tx.effects.add(effect)
        elif len(bound) == 1:
            tx.driver.execute(form.sql, bound[0])
        else:
            tx.driver.executemany(form.sql, bound)

    def _form(self, tx: Transaction) -> "_Form":
        dialect = tx.connection.dialect
        form = self._forms.get(dialect.name)
        if form is None:
            telling = self._telling if dialect.name == "postgresql" else None
            statement = self._statement if telling is None else telling
            form = _compiled(statement, self._columns, dialect)
            form.tells_now = telling is not None
            self._forms[dialect.name] = form
        if _log.isEnabledFor(logging.INFO):
            _log.info(form.sql)
        return form


class _Parameter(NamedTuple):
    """One place of the statement: a name that is bound, or a value that always stands there."""

    name: str
    fixed: Any
    required: bool
    convert: _Convert | None


class _Form:
    """The statement as one engine's driver takes it; ``joinable`` is how it may wait for others."""

    def __init__(
        self,
        sql: str,
        parameters: Sequence[_Parameter],
        columns: Sequence[tuple[str, _Convert | None]],
        joinable: "_Joinable | None" = None,
    ) -> None:
        self.sql = sql
        self.tells_now = False
        self._joinable = joinable
        self._parameters = tuple(parameters)
        converts = enumerate(convert for _, convert in columns)
        self._converted = [(place, convert) for place, convert in converts if convert]
        self._columns = columns
        names: list[str] = [name for name, _ in columns]
        row = namedtuple("Row", names)  # pyright: ignore[reportUntypedNamedTuple]
        self._make: Callable[[Sequence[Any]], Any] = row._make

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the statement's places."""
        return [
            (convert(values[name]) if convert else values[name]) if required else fixed
            for name, fixed, required, convert in self._parameters
        ]

    @property
    def answers(self) -> bool:
        return bool(self._columns)

    @property
    def takes_many(self) -> bool:
        return self._joinable is not None and self._joinable.of_many is not None

    def effect(self, bound: Sequence[list[Any]]) -> Effect | None:
        """The same as an effect that can wait, if it can."""
        if self._joinable is None or not bound:
            return None
        of_one, of_many, target = self._joinable
        if of_one is not None and len(bound) == 1:
            return Effect(of_one, target, bound[0])
        if of_many is None:
            return None
        return Effect(of_many, target, list(zip(*bound, strict=True)))

    def row(self, found: Sequence[Any]) -> Any:
        if not self._converted:
            return self._make(found)
        values = list(found)
        for place, convert in self._converted:
            values[place] = convert(values[place])
        return self._make(values)


def _heard(tx: Transaction, form: _Form, found: Sequence[Any]) -> list[Any]:
    if form.tells_now and found:
        tx.hear_now(found[0][-1])
    return [form.row(row) for row in found]


def _with_now(statement: Statement) -> Statement:
    """Made before anybody looks at the statement's columns, which SQLAlchemy then remembers."""
    now = sa.func.transaction_timestamp().label("its_now")
    if isinstance(statement, sa.Select):
        return statement.add_columns(now)
    return statement.returning(now)


def _compiled(statement: Statement, columns: list[str] | None, dialect: sa.Dialect) -> _Form:
    inserts = isinstance(statement, sa.Insert)  # which would give back their keys unasked
    compiled = statement.compile(dialect=dialect, column_keys=columns, for_executemany=inserts)
    parameters = [_parameter(compiled.binds[name], dialect) for name in compiled.positiontup or ()]
    shown = [
        (column.key or "", _convert_found(column.type, dialect))
        for column in statement.exported_columns
    ]
    return _Form(compiled.string, parameters, shown, _joinable(statement, compiled))


class _Joinable(NamedTuple):
    """Of one row, with its values; of many, with a list for each column."""

    of_one: str | None
    of_many: str | None
    target: str


def _joinable(statement: Statement, compiled: SQLCompiler) -> _Joinable | None:
    """How PostgreSQL takes it together with others: an INSERT as lists of its columns, an UPDATE
    or a DELETE that looks at nothing else, and an UPDATE of many rows as lists too."""
    if compiled.dialect.name != "postgresql":
        return None
    if isinstance(statement, sa.Insert):
        of_many = _inserted_of_lists(compiled)
        return None if of_many is None else _Joinable(None, of_many, str(statement.table))
    if isinstance(statement, sa.Select) or _looks_elsewhere(statement):
        return None
    after = statement.where(sa.literal_column(AFTER)).compile(dialect=compiled.dialect)
    many = _updated_of_lists(after) if isinstance(statement, sa.Update) else None
    return _Joinable(after.string, many, str(statement.table))


def _looks_elsewhere(statement: sa.Update | sa.Delete) -> bool:
    return any(isinstance(part, sa.SelectBase) for part in visitors.iterate(statement))


def _inserted_of_lists(compiled: SQLCompiler) -> str | None:
    """Its values become columns of rows; what it does about a conflict must have none."""
    head, values, rest = re.split(
        r" VALUES \((.*?)\)(?= ON CONFLICT| RETURNING|$)", compiled.string
    )
    if "$" in rest:
        return None
    shown = _VALUE.sub(r"v\1", values)
    return f"{head} SELECT {shown} FROM {_rows(compiled)} WHERE {AFTER}{rest}"  # noqa: S608  # our own words


def _updated_of_lists(compiled: SQLCompiler) -> str | None:
    """Its values become columns of rows; a list among them would need lists of lists."""
    head, where = _VALUE.sub(r"v\1", compiled.string).split(" WHERE ", 1)
    if "$" in head + where:
        return None
    return f"{head} FROM {_rows(compiled)} WHERE {where}"


def _rows(compiled: SQLCompiler) -> str:
    """A list for each place of the statement, as rows."""
    names = compiled.positiontup or ()
    lists = ", ".join(
        f"${place}::{_list_type(compiled.binds[name].type, compiled.dialect)}"
        for place, name in enumerate(names, 1)
    )
    columns = ", ".join(f"v{place}" for place in range(1, len(names) + 1))
    return f"unnest({lists}) AS row ({columns})"


def _list_type(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """Without a length, which a cast would cut to; the column refuses what is too long."""
    return re.sub(r"\(\d+\)", "", kind.compile(dialect)) + "[]"


def _convert_found(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> _Convert | None:
    if isinstance(kind, sa.Float):  # is one already, and PostgreSQL's would ask for its wire type
        return None
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _parameter(bind: sa.BindParameter[Any], dialect: sa.Dialect) -> _Parameter:
    convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
    fixed = None if bind.required else bind.effective_value
    return _Parameter(bind.key, convert(fixed) if convert else fixed, bind.required, convert)


class _Among(sa.BinaryExpression[bool]):
    """A column and the one parameter that is its list."""

    inherit_cache = False


def among(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Whether the column is in the list that is bound as ``name``."""
    listed = sa.JSON().with_variant(postgresql.ARRAY(column.type), "postgresql")
    bound = sa.bindparam(name, type_=listed, required=True)
    return _Among(column, bound, operators.in_op, type_=sa.Boolean())


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.left, **options)
    listed = compiler.process(element.right, **options)
    return f"{column} IN (SELECT value FROM json_each({listed}))"  # noqa: S608  # a bound one's mark


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.left, **options)
    listed = compiler.process(element.right, **options)
    return f"{column} = ANY ({listed})"


def insert_new(table: sa.Table) -> sa.Insert:
    """An INSERT that leaves alone what is there already; in the spelling that both engines know."""
    return postgresql.insert(table).on_conflict_do_nothing()
