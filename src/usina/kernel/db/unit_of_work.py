"""The unit of work: what must happen together is one function over one transaction.

A unit is a plain function of a :class:`Transaction`. It runs where the engine wants it (SQLite's
writes on the event loop and its reads on threads, PostgreSQL's in greenlets, if need be twice). So
it must not await, must not keep the transaction, and must be as good the second time. The commit is
made in one place, by the engine; hooks given to :meth:`Transaction.after_commit` run on the event
loop once it is durable, and not at all otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from usina.kernel.db.joined import Effects
from usina.kernel.errors import Unavailable

T = TypeVar("T")


class Rows(Protocol):
    """What a statement found."""

    def fetchall(self) -> Sequence[Any]: ...


class Driver(Protocol):
    """A connection of the engine's own driver."""

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Rows: ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> object: ...


class Transaction:
    """An open transaction, the moment of its start by the database's clock, and its hooks."""

    __slots__ = ("_now", "connection", "driver", "effects", "hooks")

    def __init__(
        self,
        connection: sa.Connection,
        driver: Driver,
        now: datetime | Callable[[], datetime],
        effects: Effects | None = None,
    ) -> None:
        self.connection = connection
        self.effects = effects
        """Where writes wait for each other, on an engine that is far away."""
        self.driver = driver
        """The same connection below SQLAlchemy, for prepared statements."""
        self.hooks: list[Callable[[], None]] = []
        self._now = now

    @property
    def now(self) -> datetime:
        """Where it is far away, it is asked for once, by who needs it first."""
        if not isinstance(self._now, datetime):
            self._now = self._now()
        return self._now

    @property
    def known_now(self) -> datetime | None:
        """The same, or null where it would have to be asked for; ``moment`` writes it then."""
        return self._now if isinstance(self._now, datetime) else None

    def hear_now(self, now: datetime) -> None:
        """Somebody has it without asking."""
        if not isinstance(self._now, datetime):
            self._now = now

    def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> sa.CursorResult[Any]:
        self.flush()
        return self.connection.execute(statement, parameters)

    def flush(self) -> None:
        """Writes what waits, now; a question does so by itself, and so does the end."""
        if self.effects is not None:
            self.effects.flush()

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Runs ``hook`` on the event loop after a successful commit: wake-ups, never truth."""
        self.hooks.append(hook)


class OutcomeUnknown(Unavailable):
    """The way to the database broke while a commit was on it: it has happened, or it has not.

    Nobody may try again who could not bear that it happens twice.
    """

    def __init__(self) -> None:
        super().__init__(
            "The database was lost while it wrote: look whether it has happened before you ask"
            " again, or ask with the same Idempotency-Key."
        )


Unit = Callable[[Transaction], T]


class Database(Protocol):
    """The one door to the truth.

    A unit that works for a caller names its ``tenant``, the caller's organization. PostgreSQL then
    shows and changes nothing of another one, whatever the unit asks; SQLite has the filter alone.
    Without a tenant the unit is the engine's, across organizations.
    """

    async def write(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        """Runs the unit in a read-write transaction and returns once it is durable.

        Whatever the unit raises is raised here, and nothing of the unit has happened then.
        """
        ...

    async def read(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        """Runs the unit on one consistent snapshot; it must not write."""
        ...

    async def scrub(self) -> None:
        """What was deleted before is gone from the engine's own files too, as far as an engine can
        be told: SQLite overwrites it and empties its log; PostgreSQL does so in its own time."""
        ...

    async def close(self) -> None: ...
