"""A receiver of webhooks that outlives the platform, and what it must have heard in the end."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from usina.kernel.clock import rfc3339


@dataclass
class Ear:
    """``heard`` holds what each ``webhook-id`` told: a job, a type, a moment."""

    url: str
    heard: dict[str, set[tuple[str, str, str]]] = field(
        default_factory=dict[str, set[tuple[str, str, str]]]
    )
    requests: int = 0

    def hear(self, message_id: str, body: bytes) -> None:
        self.requests += 1
        told = json.loads(body)
        what = (told["data"]["id"], told["type"], told["timestamp"])
        self.heard.setdefault(message_id, set()).add(what)

    def missed(self, data: Path) -> list[str]:
        """What of the log's ends was not heard, or under two ids: read from the file."""
        path = f"file:{data / 'usina.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
            since = database.execute("SELECT min(created_at) FROM webhook_endpoints").fetchone()[0]
            ends = database.execute(
                "SELECT job_id, type, at FROM events WHERE at >= ? AND type IN"
                " ('job.succeeded', 'job.failed', 'job.cancelled')",
                (since if since is not None else 2**62,),
            ).fetchall()
        wrong = [f"{message} told {told}" for message, told in self.heard.items() if len(told) > 1]
        ids: dict[tuple[str, str, str], list[str]] = {}
        for message, told in self.heard.items():
            for what in told:
                ids.setdefault(what, []).append(message)
        wrong += [f"{what} came as {each}" for what, each in ids.items() if len(each) > 1]
        for job, kind, at in ends:
            moment = rfc3339(datetime.fromtimestamp(at // 1_000_000, UTC)).replace(
                ".000000", f".{at % 1_000_000:06}"
            )
            if (job, kind, moment) not in ids:
                wrong.append(f"{kind} of {job} at {moment} was never heard")
        return wrong


@contextmanager
def listening() -> Iterator[Ear]:
    """A receiver on a free port that answers 204 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["content-length"]))
            ear.hear(self.headers["webhook-id"], body)
            with contextlib.suppress(OSError):
                self.send_response(204)
                self.end_headers()

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ear = Ear(f"http://127.0.0.1:{server.server_port}/")
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield ear
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
