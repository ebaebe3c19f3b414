"""Gates of a result: what has to hold before its figures are believed."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Gate:
    """One judgement. ``value`` was found, null when it could not be; ``limit`` is the bound it is
    held to; ``message`` says what the gate is good for or, when it is not ``ok``, what to do."""

    name: str
    ok: bool
    value: float | None
    limit: float
    message: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ok": self.ok,
            "value": self.value,
            "limit": self.limit,
            "message": self.message,
        }


def at_least(name: str, value: float | None, limit: float, good: str, bad: str) -> Gate:
    """A value that has to reach a limit; ``good`` and ``bad`` are the two messages. A value that is
    missing or not finite never passes."""
    return _judged(name, value, limit, lambda found: found >= limit, good, bad)


def at_most(name: str, value: float | None, limit: float, good: str, bad: str) -> Gate:
    """A value that must not go beyond a limit, in size."""
    return _judged(name, value, limit, lambda found: abs(found) <= limit, good, bad)


def passed(gates: Iterable[Gate]) -> bool:
    return all(gate.ok for gate in gates)


def _judged(
    name: str,
    value: float | None,
    limit: float,
    holds: Callable[[float], bool],
    good: str,
    bad: str,
) -> Gate:
    found = None if value is None or not math.isfinite(value) else float(value)
    ok = found is not None and holds(found)
    return Gate(name, ok, found, float(limit), good if ok else bad)
