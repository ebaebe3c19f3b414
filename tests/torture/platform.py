"""A real platform as a process that tests may kill, and what they see of it from outside."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

READY_SECONDS = 30
RUNNERS = Path(__file__).parents[1] / "worker/runners"


@dataclass
class Running:
    """A platform process; its group is its own, so that nothing else dies with it."""

    process: subprocess.Popen[str]
    url: str
    data: Path

    @property
    def api_key(self) -> str:
        return json.loads((self.data / "credentials.json").read_text())["api_key"]

    def client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=f"{self.url}/api/v1", headers={"x-api-key": self.api_key}, timeout=70
        )

    def kill(self) -> None:
        """The whole platform at once, as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


def start(data: Path, failpoints: str = "", **environment: str) -> Running | None:
    """Starts ``usina up`` on a free port and waits for its ready line; null if it died first."""
    command = [sys.executable, "-m", "usina.faces.cli.main", "up", "--port", "0"]
    log = (data.parent / "platform.log").open("ab")
    process = subprocess.Popen(
        [*command, "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={
            **os.environ,
            "USINA_FAILPOINTS": failpoints,
            "USINA_RETRY_SECONDS": "0.05",
            "USINA_LOG_FORMAT": "json",
            "USINA_RUNNERS": str(RUNNERS),
            "USINA_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            **environment,
        },
        start_new_session=True,
    )
    log.close()
    assert process.stdout is not None
    with process.stdout as told:
        line = told.readline()
    if not line.startswith("ready "):
        process.wait(READY_SECONDS)
        return None
    return Running(process, line.split()[1], data)


@contextmanager
def running(data: Path, failpoints: str = "", **environment: str) -> Iterator[Running]:
    """A platform that is surely gone afterwards."""
    platform = start(data, failpoints, **environment)
    assert platform is not None, (data.parent / "platform.log").read_text()[-3000:]
    try:
        yield platform
    finally:
        with contextlib.suppress(ProcessLookupError):
            platform.kill()


def descendants_with(marker: str) -> list[str]:
    """Command lines of live processes whose environment or command names the marker."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and marker.encode() in command + environment:
                found.append(f"{entry.name} {command.decode(errors='replace')}")
    return found


def get_json(client: httpx2.Client, path: str) -> Any:
    response = client.get(path)
    response.raise_for_status()
    return response.json()
