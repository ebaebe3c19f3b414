"""The JSON lines that a program sends: bounded, parsed, and never trusted.

A line that is too long, not JSON, of an unknown type or with wrong fields is told once in the log
and counted; it ends nothing by itself.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

LINE_BYTES: Final = 65_536
_ERROR_CODES: Final = frozenset(
    {"invalid_input", "runner_failed", "timeout", "out_of_memory", "cancelled", "unavailable"}
    | {"internal"}
)
_TEXT: Final = 4000
_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Ready:
    """A warm program has loaded and waits for work."""


@dataclass(frozen=True, slots=True)
class Progress:
    fraction: float
    stage: str | None


@dataclass(frozen=True, slots=True)
class LogLine:
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class DeclaredArtifact:
    """``path`` is relative to the work folder."""

    path: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    path: str


@dataclass(frozen=True, slots=True)
class Records:
    path: str


@dataclass(frozen=True, slots=True)
class Result:
    """The job succeeded."""


@dataclass(frozen=True, slots=True)
class Failed:
    code: str
    reason: str | None
    message: str
    retryable: bool | None


Message = (
    Ready | Progress | LogLine | DeclaredArtifact | Metric | Checkpoint | Records | Result | Failed
)
KINDS: Final = frozenset({"model", "preview", "image", "video", "report", "data", "log"})


class Lines:
    """Splits the byte stream into lines; what is longer than allowed is dropped up to its end."""

    def __init__(self) -> None:
        self._rest = b""
        self._dropping = False
        self.refused = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that the bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._dropping:
                self._dropping = False
            elif (message := parse(line)) is not None:
                yield message
            elif line.strip():
                self.refused += 1
        if len(self._rest) > LINE_BYTES:
            self.refused += not self._dropping
            self._rest, self._dropping = b"", True


def parse(line: bytes) -> Message | None:
    """The message of one line, or null for what is none."""
    if len(line) > LINE_BYTES:
        return None
    try:
        told = from_json(line, allow_inf_nan=False)
        read = _READERS[told["type"]]
        return read(told)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _progress(told: dict[str, Any]) -> Progress:
    fraction, stage = told["progress"], told.get("stage")
    if isinstance(fraction, bool) or not isinstance(fraction, int | float):
        raise TypeError
    if not math.isfinite(fraction):
        raise ValueError
    return Progress(
        min(1.0, max(0.0, float(fraction))), None if stage is None else _text(stage, 200)
    )


def _metric(told: dict[str, Any]) -> Metric:
    value = told["value"]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return Metric(_text(told["name"], _NAME), value)


def _artifact(told: dict[str, Any]) -> DeclaredArtifact:
    path = _text(told["path"], 4096)
    name = told.get("name") or path.rpartition("/")[2]
    kind = told.get("kind", "data")
    if kind not in KINDS:
        raise ValueError
    return DeclaredArtifact(path, _text(name, _NAME), kind)


def _failed(told: dict[str, Any]) -> Failed:
    code, reason, retryable = told["code"], told.get("reason"), told.get("retryable")
    if not (retryable is None or isinstance(retryable, bool)):
        raise TypeError
    return Failed(
        code if code in _ERROR_CODES else "runner_failed",
        None if reason is None else _text(reason, _NAME),
        _text(told.get("message") or "The program gave no message.", _TEXT),
        retryable,
    )


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:most]


_READERS: Final[dict[str, Callable[[dict[str, Any]], Message]]] = {
    "ready": lambda _: Ready(),
    "progress": _progress,
    "log": lambda told: LogLine(
        _text(told.get("level", "info"), 16), _text(told["message"], _TEXT)
    ),
    "artifact": _artifact,
    "metric": _metric,
    "checkpoint": lambda told: Checkpoint(_text(told["path"], 4096)),
    "records": lambda told: Records(_text(told["path"], 4096)),
    "result": lambda _: Result(),
    "error": _failed,
}
