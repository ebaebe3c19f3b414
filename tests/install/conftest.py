"""A tiny model with all that a real one has: a package, a program in a repository, weights behind
a gate. All of it comes from this machine."""

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from usina.kernel.runners.manifest import Manifest, load_manifest

WEIGHTS = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
TOKEN = "a token"
PROGRAM = """\
import os, pathlib, tiny_model
size = pathlib.Path(os.environ["TINY_WEIGHTS"]).stat().st_size
print(tiny_model.WORD, size, pathlib.Path(__file__).with_name("word.txt").read_text().strip())
"""
RECIPE = """
name = "tiny-v1"
version = "1"
task = "test"
description = "A tiny model that lives in its own environment."
license = "MIT"
command = ["{{python}}", "-c", "import tiny_model"]
[environment]
python = "$TINY_PYTHON"
pass = ["TINY_WEIGHTS", "TINY_SCRIPT"]
[terms]
url = "https://example.org/terms"
gated = true
[[weights]]
name = "tiny"
source = "hf:gated/tiny@v1"
file = "model.bin"
sha256 = "{sha256}"
bytes = {size}
setting = "TINY_WEIGHTS"
[install]
python = ">=3.8"
git = "{address}"
commit = "{commit}"
requirements = ["requirements.txt"]
bytes = 1000
settings = {{TINY_PYTHON = "{{python}}", TINY_SCRIPT = "{{source}}/run.py"}}
"""


@dataclass
class Hub:
    """A server of weights: what was asked of it, and after how many bytes it hangs up."""

    url: str = ""
    hangs_up_after: int | None = None
    body: bytes = WEIGHTS
    asked: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    """Each path with its range."""


@pytest.fixture
def hub() -> Generator[Hub]:
    told = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("range")
            told.asked.append((self.path, wanted))
            if self.headers["authorization"] != f"Bearer {TOKEN}":
                self.send_response(403)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("content-length", str(len(told.body) - start))
            self.end_headers()
            self.wfile.write(told.body[start : told.hangs_up_after])
            self.close_connection = True

        def log_request(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, which is all that pip may look at."""
    folder = tmp_path / "packages"
    folder.mkdir()
    about = "tiny_model-1.0.dist-info"
    tag = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model.py", "WORD = 'tiny'\n")
        name = "Metadata-Version: 2.1\nName: tiny_model\nVersion: 1.0\n"
        wheel.writestr(f"{about}/METADATA", name)
        wheel.writestr(f"{about}/WHEEL", tag)
        wheel.writestr(f"{about}/RECORD", "tiny_model.py,,\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """A program's repository, and the commit before its last one."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        ended = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    git("init", "--quiet")
    (folder / "run.py").write_text(PROGRAM)
    for word in ("pinned", "newest"):
        (folder / "word.txt").write_text(word)
        git("add", ".")
        git("commit", "--quiet", "-m", word)
    return folder, git("rev-parse", "HEAD~1")


@pytest.fixture
def manifest(tmp_path: Path, packages: Path, repository: tuple[Path, str]) -> Manifest:
    folder = tmp_path / "runners/tiny-v1"
    folder.mkdir(parents=True)
    address, commit = repository
    digest = hashlib.sha256(next(packages.iterdir()).read_bytes()).hexdigest()
    (folder / "requirements.txt").write_text(f"tiny_model==1.0 --hash=sha256:{digest}\n")
    told = RECIPE.format(address=address, commit=commit, sha256=SHA256, size=len(WEIGHTS))
    (folder / "runner.toml").write_text(told)
    return load_manifest(folder)
