"""A page of the documentation as a script: its ``sh`` blocks run in order, in one shell.

A ``text`` block right after an ``sh`` block is what that block prints: ``...`` stands for
anything, and the amount of white space does not count. A block that begins with a comment of
nothing but a path is that file. Blocks of other kinds are only shown.
"""

import contextlib
import doctest
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from tests.old_python import old_python

ROOT = Path(__file__).parents[2]
_SECONDS = 200
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|//) ([\w./-]+/[\w.-]+)\n")
_ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One runnable block; ``line`` is where it begins in its page."""

    line: int
    script: str
    prints: str | None


@dataclass(frozen=True)
class Performance:
    """How a page went: each block's output, and what the shell said of it."""

    code: int
    printed: list[str]
    errors: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = list(_BLOCK.finditer(text))
    following = [*found[1:], None]
    return [
        Block(
            line=text.count("\n", 0, block.start()) + 1,
            script=block[2],
            prints=_printed(text, block, after),
        )
        for block, after in zip(found, following, strict=True)
        if block[1] == "sh"
    ]


def _printed(text: str, block: re.Match[str], after: re.Match[str] | None) -> str | None:
    if after is None or after[1] != "text" or text[block.end() : after.start()].strip():
        return None
    return after[2]


def write_files(page: Path, folder: Path) -> None:
    """Puts the files that the page shows where it says."""
    for block in _BLOCK.finditer(page.read_text()):
        named = _FILE.match(block[2])
        if named is not None:
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block[2])


def perform(page: Path, folder: Path, files: Mapping[str, str] | None = None) -> Performance:
    """Runs the page's blocks in the folder, against a platform of their own. ``python3.8`` is the
    oldest Python of this machine. ``files`` are those that a reader has beforehand, by name."""
    (folder / "tools").mkdir()
    (folder / "tools/python3.8").symlink_to(old_python().path)
    shutil.copy(_picture(), folder / "photo.png")
    write_files(page, folder)
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    script = "set -euo pipefail\n" + "".join(
        f"echo 'block at line {block.line}' >&2\n{{\n{block.script}}} > block-{number}.out\n"
        for number, block in enumerate(blocks(page))
    )
    errors = folder / "errors.txt"
    with errors.open("wb") as stream, _shell(script, folder, stream) as shell:
        code = shell.wait(_SECONDS)
    printed = [path.read_text() for path in _outputs(folder)]
    return Performance(code, printed, errors.read_text())


def alike(wanted: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(wanted, printed, _ALIKE)


def _outputs(folder: Path) -> list[Path]:
    return sorted(folder.glob("block-*.out"), key=lambda path: int(path.stem.partition("-")[2]))


def _picture() -> Path:
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "data" / "horse.png"


@contextmanager
def _shell(script: str, folder: Path, errors: BinaryIO) -> Iterator["subprocess.Popen[bytes]"]:
    """A shell with `usina` on its path; whatever it leaves behind is killed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("USINA_")}
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **ours,
            "PATH": os.pathsep.join(
                (str(folder / "tools"), str(Path(sys.executable).parent), os.environ["PATH"])
            ),
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / ".local/share"),
            "USINA_DATA": str(folder / "data"),
            "USINA_PORT": "0",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield shell
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
