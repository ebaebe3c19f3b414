"""What a program is, so that equal work can be known: its files, its interpreter, its libraries.

Equal identities mean that a deterministic program makes the same of the same. Large files count by
size and time, not by content: a file of weights that is replaced is another one.
"""

import asyncio
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import usina
import usina_runner
from usina.kernel.runners.manifest import Manifest, NotInstalled

_MOST_FILES: Final = 2000
_READ_BYTES: Final = 1024**2
_NO_PART: Final = frozenset(("__pycache__", ".git"))


class Identities:
    """Of the programs of one process.

    A program that was changed since it was first asked for has none: a warm one may have loaded
    what stood there before.
    """

    def __init__(self) -> None:
        self.good_seconds = 1.0
        """How long a look is good for."""
        self._first: dict[str, str] = {}
        self._looked: dict[str, tuple[float, str | None]] = {}

    async def of(self, manifest: Manifest, passed: Mapping[str, str]) -> str | None:
        """The identity as a hash; ``passed`` are the variables that the program sees."""
        until, found = self._looked.get(manifest.name, (0.0, None))
        if time.monotonic() >= until:
            found = await asyncio.to_thread(self._look, manifest, passed)
            self._looked[manifest.name] = (time.monotonic() + self.good_seconds, found)
        return found

    def _look(self, manifest: Manifest, passed: Mapping[str, str]) -> str | None:
        try:
            now = _identity(manifest, passed)
        except (OSError, NotInstalled):
            return None
        return now if now == self._first.setdefault(manifest.name, now) else None


def recipe_of(
    manifest: Manifest,
    identity: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, Iterable[tuple[str, str]]],
) -> str:
    """What a result follows from: model, program, parameters with their defaults, and by input the
    SHA-256 and the media type of each file. A hash."""
    told = {name: [list(each) for each in files] for name, files in inputs.items()}
    return _hash([manifest.name, manifest.version, identity, dict(params), told])


def _identity(manifest: Manifest, passed: Mapping[str, str]) -> str:
    program, *arguments = manifest.argv()
    own = program == sys.executable
    return _hash(
        {
            "folder": [*_files(manifest.folder, manifest.folder)],
            "program": _seen(program),
            "arguments": arguments,
            "libraries": _libraries(program),
            "platform": _science() if own else "",
            "machine": platform.machine(),
            "variables": {name: [value, *_named(value)] for name, value in passed.items()},
        }
    )


def _files(folder: Path, top: Path) -> Iterator[list[str]]:
    """Each file below, by its content."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in _NO_PART:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), top)
        else:
            yield [os.path.relpath(entry.path, top), *_content(entry.path)]


def _content(path: str) -> list[str]:
    """The hash of a small file; what is large or no file counts as it is seen."""
    state = os.stat(path)
    if state.st_size > _READ_BYTES or not os.path.isfile(path):
        return [path, *_seen(path)]
    return [_hashed(path, state.st_size, state.st_mtime_ns, state.st_ino)]


@lru_cache(maxsize=4096)
def _hashed(path: str, size: int, changed: int, number: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _seen(path: str) -> list[str]:
    real = os.path.realpath(path)
    state = os.stat(real)
    return [real, str(state.st_size), str(state.st_mtime_ns)]


def _named(value: str) -> Iterator[str]:
    """What lies under the paths that a variable names."""
    for path in value.split(os.pathsep):
        if path.startswith("/") and os.path.isfile(path):
            yield from _seen(path)
        elif path.startswith("/") and os.path.isdir(path):
            for number, file in enumerate(sorted(Path(path).rglob("*"))):
                if number == _MOST_FILES:
                    return
                if file.is_file():
                    yield from _seen(str(file))


def _libraries(program: str) -> list[str]:
    """Names and versions of what is installed beside an interpreter."""
    prefix = Path(program).parent.parent
    found: list[str] = []
    for folder in sorted(prefix.glob("lib/python3*/site-packages")):
        found += _distributions(str(folder), folder.stat().st_mtime_ns)
    return found


@lru_cache(maxsize=64)
def _distributions(folder: str, changed: int) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".dist-info"))


@cache
def _science() -> str:
    """The platform's own code, which programs of the rooms import."""
    packages = (Path(module.__file__ or "/").parent for module in (usina, usina_runner))
    return _hash(
        [
            [str(path.relative_to(package)), hashlib.sha256(path.read_bytes()).hexdigest()]
            for package in packages
            for path in sorted(package.rglob("*.py"))
        ]
    )


def _hash(told: object) -> str:
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
