"""A platform in a process of its own, as a user starts it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.http_client import Connection

COMMAND = [sys.executable, "-m", "usina.faces.cli.main", "up", "--port", "0", "--data"]


@dataclass(frozen=True, slots=True)
class Embedded:
    process: subprocess.Popen[str]
    host: str
    port: int
    api_key: str
    data: Path

    def send(self, path: Path) -> str:
        """Uploads a file; its id."""
        sent = httpx2.post(
            f"http://{self.host}:{self.port}/api/v1/files",
            headers={"x-api-key": self.api_key},
            files={"file": (path.name, path.read_bytes())},
        )
        assert sent.status_code == 201, sent.text
        return sent.json()["id"]

    def connection(self) -> Connection:
        return Connection(self.host, self.port, self.api_key)


async def finished(connection: Connection, submission: dict[str, Any]) -> dict[str, Any]:
    """A job from its submission to its success, as a caller sees it."""
    status, job = await connection.request("POST", "/api/v1/jobs", submission)
    assert status == 202, job
    _, job = await connection.request("GET", f"/api/v1/jobs/{job['id']}?wait_seconds=60")
    assert job["status"] == "SUCCEEDED", job
    return job


@contextmanager
def platform(data: Path | None = None) -> Iterator[Embedded]:
    """Started, ready, and surely gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        home = data or Path(folder) / "data"
        with subprocess.Popen(
            [*COMMAND, str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            key = json.loads((home / "credentials.json").read_text())["api_key"]
            host, _, port = url.removeprefix("http://").rpartition(":")
            try:
                yield Embedded(process, host, int(port), key, home)
            finally:
                process.terminate()
                process.wait(15)
