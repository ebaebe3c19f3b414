"""asyncpg as a unit sees it, and the opening that goes ahead of its first question.

A transaction is opened by several commands, which ask for nothing. PostgreSQL answers them when it
is told to, so they go to the server just before the unit's first question and are answered with it:
the opening costs no way of its own. asyncpg does not send messages ahead, but passes over the
answers to those that were (`ParseComplete`, `BindComplete`, `CommandComplete`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.util.concurrency import await_

from usina.kernel.db.joined import Effects
from usina.kernel.db.unit_of_work import Rows

_NOW: Final = "SELECT transaction_timestamp()"
_BIND: Final = b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"
_EXECUTE: Final = b"E\0\0\0\x09\0\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Opening:
    """The commands that begin a transaction; they have no places for values."""

    commands: tuple[str, ...]

    def alone(self) -> str:
        """As a query of its own."""
        return "; ".join(self.commands)

    def ahead(self) -> bytes:
        """As messages that are answered with whatever is asked after them."""
        return b"".join(map(_message, self.commands))


@lru_cache(maxsize=1024)
def _message(command: str) -> bytes:
    """Parse, Bind and Execute without a name: PostgreSQL's protocol, version 3."""
    parse = b"\0" + command.encode() + b"\0\0\0"
    return b"P" + (len(parse) + 4).to_bytes(4, "big") + parse + _BIND + _EXECUTE


class _Found(list[Any]):
    """The rows of a statement, all of them."""

    __slots__ = ()

    def fetchall(self) -> Sequence[Any]:
        return self


class PostgresDriver:
    """A connection for the time of one transaction: it waits, and nobody has to say so."""

    __slots__ = ("_asyncpg", "_opening", "began", "effects", "sent")

    def __init__(self, connection: sa.Connection, opening: Opening) -> None:
        self._asyncpg: Any = connection.connection.driver_connection
        self._opening = opening
        self.sent = False
        """The opening is on its way, or was."""
        self.began = False
        """The server has answered to the opening, by itself or with the first question."""
        self.effects = Effects(self._execute, self.begin)

    def begin(self) -> None:
        """Opens the transaction in a way of its own, unless it is open."""
        if not self.began:
            self.sent = True
            self.say(self._opening.alone())
            self.began = True

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Rows:
        self.effects.let_happen()
        return _Found(self._execute(sql, parameters))

    def _execute(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        if not self.sent:
            self.sent = True
            self._asyncpg._transport.write(self._opening.ahead())
        found = await_(self._asyncpg.fetch(sql, *parameters))
        self.began = True
        return found

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> None:
        self.effects.flush()
        await_(self._asyncpg.executemany(sql, rows))

    def now(self) -> datetime:
        """When the transaction began, by the server's clock."""
        [[now]] = self.execute(_NOW, ()).fetchall()
        return now

    def say(self, command: str) -> None:
        """COMMIT and its like, which take and give nothing."""
        await_(self._asyncpg.execute(command))

    def commit(self) -> None:
        """Nothing where nothing was asked."""
        self.effects.let_happen()
        if self.began:
            self.say("COMMIT")

    @property
    def within(self) -> bool:
        """Whether the transaction is open, by the server's last word; also a failed one."""
        return bool(self._asyncpg.is_in_transaction())

    @property
    def lost(self) -> bool:
        return bool(self._asyncpg.is_closed())

    def undo(self) -> bool:
        """Rolls back; whether the connection is good for more."""
        try:
            if self.within:
                self.say("ROLLBACK")
            elif self.sent and not self.began:
                return False  # what was sent ahead may lie there without an answer
        except Exception:
            return False
        return not self._asyncpg.is_closed()
