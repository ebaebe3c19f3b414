"""Effects that wait: what a unit writes without asking for an answer goes to the server together.

A way to PostgreSQL and back costs more than most statements, so such writes are kept until the unit
asks for something or ends, and are then one statement: each a CTE that begins after the one before
it. They see the same snapshot, so no two of them may write one table, and none may read.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

AFTER: Final = "true /* after the one before */"
"""The condition of an effect that is replaced by the wait for the one before it."""

_DONE: Final = "(SELECT count(*) FROM {}) IS NOT NULL"
_PLACE: Final = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Effect:
    """A write with a condition :data:`AFTER`, and the values of its places."""

    sql: str
    target: str
    """What it writes: a table, or a word for something else."""

    values: Sequence[Any]


class Effects:
    """Those of one transaction that wait for ``execute``, in the order in which they came.

    ``begin`` opens the transaction for those who ask past them.
    """

    def __init__(
        self,
        execute: Callable[[str, Sequence[Any]], Sequence[Any]],
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._execute = execute
        self._begin = begin
        self._waiting: list[Effect] = []

    def add(self, effect: Effect) -> None:
        if any(effect.target == other.target for other in self._waiting):
            self.let_happen()
        self._waiting.append(effect)

    def ask(self, effect: Effect) -> Sequence[Any]:
        """Adds one that answers and lets all of them happen; its rows."""
        self.add(effect)
        return self.let_happen()

    def flush(self) -> None:
        """Lets them happen; whoever asks next by another way finds the transaction open."""
        self.let_happen()
        self._begin()

    def let_happen(self) -> Sequence[Any]:
        """The rows with which the last one answers."""
        if not self._waiting:
            return ()
        waiting, self._waiting = self._waiting, []
        values = [value for effect in waiting for value in effect.values]
        return self._execute(_joined(tuple(effect.sql for effect in waiting)), values)


@cache
def _joined(parts: tuple[str, ...]) -> str:
    """One statement of all, each beginning when the one before has ended."""
    places = 0
    said: list[str] = []
    for number, sql in enumerate(parts):
        placed = _PLACE.sub(lambda found, by=places: f"${int(found[1]) + by}", sql)
        places += len(set(_PLACE.findall(sql)))
        if number:
            placed = placed.replace(AFTER, _DONE.format(_name(number - 1)))
        if number < len(parts) - 1:
            answer = "" if sql.startswith("SELECT") else " RETURNING 1"
            placed = f"{_name(number)} AS MATERIALIZED ({placed}{answer})"
        said.append(placed)
    *before, last = said
    return f"WITH {', '.join(before)} {last}" if before else last


def _name(number: int) -> str:
    return f"effect_{number}"
