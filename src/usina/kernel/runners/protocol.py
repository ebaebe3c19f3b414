"""The JSON lines of a program (contract, section 14): bounded, parsed, never trusted.

A line that can not be read is counted and ends nothing by itself. Texts are cut to their bounds
and hold no NUL, so that any database takes them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from usina.kernel.runners.gate import Value
from usina.kernel.text import without_nul

ERROR_CODES: Final = frozenset(
    {"invalid_input", "runner_failed", "timeout", "out_of_memory", "cancelled"}
    | {"unavailable", "internal"}
)
"""What a program may call its own failure; anything else is ``runner_failed``."""

_NAME: Final = 128
_STAGE: Final = 200
_PATH: Final = 4096
_MESSAGE: Final = 4000
_EXACT: Final = 2**53
_COALESCED: Final = (b'{"type":"progress"', b'{"type": "progress"')


@dataclass(frozen=True, slots=True)
class Ready:
    """A warm program has loaded and waits for work."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``fraction`` is 0 to 1."""

    fraction: float
    stage: str | None


@dataclass(frozen=True, slots=True)
class LogLine:
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class DeclaredArtifact:
    """A result that the program names; ``path`` is relative to the work folder, unchecked."""

    path: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A whole number is exact up to 2^53, as JSON's readers take it; beyond it is a float."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Checkpoint:
    path: str


@dataclass(frozen=True, slots=True)
class Records:
    path: str


@dataclass(frozen=True, slots=True)
class Result:
    """The job is done."""


@dataclass(frozen=True, slots=True)
class Error:
    """The job failed, by the program's own word."""

    code: str
    reason: str | None
    message: str
    retryable: bool | None


Message = (
    Ready | Progress | LogLine | DeclaredArtifact | Metric | Checkpoint | Records | Result | Error
)


class Decoder:
    """Turns the bytes of descriptor 3 into messages.

    Of progress lines that come in one piece only the last is read. ``rejected`` counts lines that
    were too long, not JSON, or of no known shape.
    """

    def __init__(self, line_bytes: int) -> None:
        self.rejected = 0
        self._line_bytes = line_bytes
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that the bytes complete, in order."""
        *lines, self._rest = _without_flood(self._rest + data).split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            del lines[0]
        if len(self._rest) > self._line_bytes:
            self.rejected += not self._skipping
            self._rest, self._skipping = b"", True
        last = len(lines) - 1
        for place, line in enumerate(lines):
            if (
                place < last
                and line.startswith(_COALESCED)
                and lines[place + 1].startswith(_COALESCED)
            ):
                continue
            message = parse(line) if len(line) <= self._line_bytes else None
            if message is not None:
                yield message
            elif line:
                self.rejected += 1


def _without_flood(data: bytes) -> bytes:
    """Only the last line of what is nothing but progress, found without looking at each line."""
    end = max(data.rfind(b"\n"), 0)
    lines = data.count(b"\n", 0, end)
    for prefix in _COALESCED:
        if data.startswith(prefix) and data.count(b"\n" + prefix, 0, end) == lines:
            return data[data.rfind(b"\n", 0, end) + 1 :]
    return data


def parse(line: bytes) -> Message | None:
    """The message of a line, or null when it is none."""
    try:
        told = from_json(line, allow_inf_nan=False)
        return _READERS[told["type"]](told)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _progress(told: Mapping[str, Any]) -> Progress:
    stage = told.get("stage")
    fraction = min(1.0, max(0.0, _finite(told["progress"])))
    return Progress(fraction, None if stage is None else _text(stage, _STAGE))


def _artifact(told: Mapping[str, Any]) -> DeclaredArtifact:
    path = _text(told["path"], _PATH)
    name = told.get("name")
    return DeclaredArtifact(
        path,
        path.rpartition("/")[2] if name is None else _text(name, _PATH),
        _text(told["kind"], _NAME),
    )


def _metric(told: Mapping[str, Any]) -> Metric:
    value = told["value"]
    if isinstance(value, bool):
        value = int(value)
    return Metric(
        _text(told["name"], _NAME),
        _text(value, _STAGE) if isinstance(value, str) else _number(value),
    )


def _error(told: Mapping[str, Any]) -> Error:
    code, reason, retryable = told["code"], told.get("reason"), told.get("retryable")
    if not (retryable is None or isinstance(retryable, bool)):
        raise TypeError(retryable)
    return Error(
        code if code in ERROR_CODES else "runner_failed",
        None if reason is None else _text(reason, _NAME),
        _text(told.get("message") or "", _MESSAGE),
        retryable,
    )


def _log_line(told: Mapping[str, Any]) -> LogLine:
    return LogLine(_text(told.get("level", "info"), 16), _text(told["message"], _PATH * 16))


def _finite(value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _number(value: object) -> float | int:
    number = _finite(value)
    return number if abs(number) <= _EXACT else float(number)


def _text(value: object, bound: int) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return without_nul(value[:bound])


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Message]]] = {
    "ready": lambda _: Ready(),
    "progress": _progress,
    "log": _log_line,
    "artifact": _artifact,
    "metric": _metric,
    "checkpoint": lambda told: Checkpoint(_text(told["path"], _PATH)),
    "records": lambda told: Records(_text(told["path"], _PATH)),
    "result": lambda _: Result(),
    "error": _error,
}
