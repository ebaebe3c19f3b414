"""The receiver of what a server tells of its predictions: a tiny server of our own.

It listens on one address and takes what names the one word that only that prediction knows.
"""

import queue
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

from usina.apps.cog.envelope import Unreadable, read

_BLOCK: Final = 256 * 1024
_PATIENCE_SECONDS: Final = 60.0
OVER: Final = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Line:
    """What is heard of one prediction; its files lie in ``folder``."""

    word: str
    prediction_id: str
    folder: Path
    heard: "queue.SimpleQueue[dict[str, Any]]" = field(
        default_factory=queue.SimpleQueue[dict[str, Any]]
    )


class Receiver:
    """``name`` is by what the server calls us, null for the address that we listen on."""

    def __init__(self, address: str, name: str | None) -> None:
        self._lines: dict[str, Line] = {}
        self._lock = Lock()
        hear, find = self._hear, self._lines.get

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_SECONDS

            def do_POST(self) -> None:
                line = find(self.path.strip("/"))
                size = self.headers.get("Content-Length", "")
                if line is None or not size.isdecimal():
                    self.send_error(404)
                    return
                hear(line, _parts(self.rfile, int(size)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as its base has it
                """Nobody reads it."""

        family = ThreadingHTTPServer
        self._server = family(("" if name else address, 0), Handler)
        self._server.daemon_threads = True
        self.host = address
        self.address = f"http://{name or address}:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self, prediction_id: str, folder: Path) -> Line:
        line = Line(secrets.token_urlsafe(24), prediction_id, folder)
        self._lines[line.word] = line
        return line

    def url_of(self, line: Line) -> str:
        return f"{self.address}/{line.word}"

    def close(self, line: Line) -> None:
        self._lines.pop(line.word, None)

    def _hear(self, line: Line, parts: Iterator[bytes]) -> None:
        """Only the last word brings files; those of others go at once."""
        stem = line.folder / secrets.token_hex(8)
        told: dict[str, Any] = {}
        try:
            told = read(parts, stem)
        except Unreadable as wrong:
            told = {"id": line.prediction_id, "status": "unreadable", "error": str(wrong)}
        except OSError:
            return  # cut on its way: it is told again
        finally:
            if told.get("status") not in OVER:
                for left in line.folder.glob(f"{stem.name}-*"):
                    left.unlink(missing_ok=True)
        if told.get("id", line.prediction_id) == line.prediction_id:
            line.heard.put(told)


def _parts(file: Any, size: int) -> Iterator[bytes]:
    while size > 0:
        part = file.read1(min(size, _BLOCK))
        if not part:
            raise ConnectionError("cut")
        size -= len(part)
        yield part
