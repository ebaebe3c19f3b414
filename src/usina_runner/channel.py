"""The way to the platform and back: JSON lines on two descriptors, or a terminal."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
import time
from typing import Any

_OUT, _IN = 3, 4
_LOOK_EVERY_SECONDS = 0.01


class Channel:
    """The two descriptors. No thread: descriptor 4 is looked at when the program asks."""

    def __init__(self) -> None:
        self._cancelled = False
        self._idle = False
        self._leaving = False
        self._ended = False
        self._deferred: list[bytes] = []
        self._waiting = bytearray()
        self._next_look = 0.0
        self._poll = select.poll()
        self._poll.register(_IN, select.POLLIN)
        os.set_inheritable(_OUT, False)
        os.set_inheritable(_IN, False)
        signal.signal(signal.SIGTERM, self._on_term)

    def send(self, message: dict[str, Any]) -> None:
        self.defer(message)
        self._flush()

    def _flush(self) -> None:
        data = b"".join(self._deferred)
        del self._deferred[:]
        while data:
            data = data[os.write(_OUT, data) :]

    def defer(self, message: dict[str, Any]) -> None:
        """Leaves with the next line that is sent, or when the program looks for a cancel."""
        text = json.dumps(message, default=plain, separators=(",", ":"))
        self._deferred.append(text.encode("ascii") + b"\n")

    def cancelled(self) -> bool:
        if not self._cancelled:
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _LOOK_EVERY_SECONDS
                self._flush()
                self.wait(0)
        return self._cancelled

    def wait(self, seconds: float) -> None:
        """Until a message comes, at most so long. During a job only ``cancel`` can come."""
        if self._ended:
            time.sleep(seconds)
        elif self._poll.poll(math.ceil(seconds * 1000)):
            self._fill()
            line = self._next_line()
            while line is not None:
                if line.get("type") == "cancel":
                    self._cancelled = True
                line = self._next_line()

    def next(self) -> dict[str, Any] | None:
        """The next message, however long it takes; null when it is time to leave."""
        self._idle = True
        line = self._next_line()
        while line is None and not self._ended and not self._leaving:
            self._fill()
            line = self._next_line()
        self._idle = self._cancelled = False
        return None if self._leaving else line

    def _fill(self) -> None:
        data = os.read(_IN, 65536)
        self._waiting += data
        self._ended = not data

    def _next_line(self) -> dict[str, Any] | None:
        end = self._waiting.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 1]
        return dict(json.loads(line))

    def _on_term(self, number: int, frame: object) -> None:
        self._cancelled = self._leaving = True
        if self._idle:
            sys.exit(0)


class ByHand(Channel):
    """Stands in for the platform when somebody starts the program in a terminal."""

    def __init__(self) -> None:
        self._cancelled = self._idle = self._leaving = False
        self._ended = True
        self._next_look = math.inf
        signal.signal(signal.SIGTERM, self._on_term)

    def defer(self, message: dict[str, Any]) -> None:
        sys.stderr.write(json.dumps(message, default=plain) + "\n")

    send = defer


def plain(value: Any) -> Any:
    """What JSON knows, for values that it does not: arrays and their scalars, paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
