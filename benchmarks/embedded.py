"""A platform in a process of its own, as a user starts it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "usina.faces.cli.main", "up", "--port", "0", "--data"]


@dataclass(frozen=True, slots=True)
class Embedded:
    process: subprocess.Popen[str]
    host: str
    port: int
    api_key: str
    data: Path


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
