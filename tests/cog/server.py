"""Real Cog servers, each a process of its own on a free port of this machine."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tests.port import free_port

ROOT = Path(__file__).parents[2]
MODELS = Path(__file__).parent / "models"
Age = Literal["old", "new"]


class CogServer:
    """``old`` is 0.9, of Python; ``new`` is of Rust. ``openapi`` is what a new one is built with,
    as `cog build` writes it; an old one finds out by itself."""

    def __init__(self, folder: Path, age: Age, model: str, openapi: Any = None) -> None:
        self.folder, self.age, self.model = folder, age, model
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        (folder / "predict.py").write_bytes((MODELS / f"{model}.py").read_bytes())
        (folder / "cog.yaml").write_text('predict: "predict.py:Predictor"\n')
        if openapi is not None:
            (folder / ".cog").mkdir()
            (folder / ".cog" / "openapi_schema.json").write_text(json.dumps(openapi))

    @contextmanager
    def running(self) -> Iterator["CogServer"]:
        binaries = ROOT / ".venv" / "cog" / self.age / "bin"
        if not binaries.is_dir():
            raise RuntimeError(f"make .venv/cog/{self.age}/.installed")
        log = (self.folder / "server.log").open("ab")
        process = subprocess.Popen(
            [binaries / "python", "-m", "cog.server.http", "--host", "127.0.0.1"],
            cwd=self.folder,
            env={
                "PATH": f"{binaries}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "PORT": str(self.port),
                "COG_PREDICT_TYPE_STUB": "predict.py:Predictor",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            log.close()

    def until_ready(self) -> None:
        until = time.monotonic() + 60
        while self.health() != "READY":
            assert time.monotonic() < until, (self.folder / "server.log").read_text()
            time.sleep(0.02)

    def health(self) -> str:
        return (self.get("/health-check") or {}).get("status", "AWAY")

    def get(self, path: str) -> Any:
        """Null while it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None
