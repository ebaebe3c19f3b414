"""What a program is, so that equal work can be known: its files, its interpreter, its libraries,
the programs that it calls, what its variables name, and what its probe says of them.

Equal identities mean that a deterministic program makes the same of the same. Files count by their
content and not by their place or time, so machines with the same programs tell the same. A file is
read once, and again only after it was written to.
"""

import asyncio
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import usina
import usina_runner
from usina.kernel.runners.manifest import Manifest, NotInstalled

_MOST_FILES: Final = 10_000
_NO_PART: Final = frozenset(("__pycache__", ".git"))
_INSTALLED: Final = (".dist-info", ".egg-info")


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

    async def of(self, manifest: Manifest, passed: Mapping[str, str], said: str = "") -> str | None:
        """The identity as a hash; ``passed`` are the variables that the program sees, ``said`` is
        what its probe printed. Null for one of which too much belongs to it to look at."""
        until, found = self._looked.get(manifest.name, (0.0, None))
        if time.monotonic() >= until:
            found = await asyncio.to_thread(self._look, manifest, passed, said)
            self._looked[manifest.name] = (time.monotonic() + self.good_seconds, found)
        return found

    def _look(self, manifest: Manifest, passed: Mapping[str, str], said: str) -> str | None:
        try:
            now = _identity(manifest, passed, said)
        except (OSError, NotInstalled, _TooMuch):
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


class _TooMuch(Exception):
    """More lies there than is looked through, so nobody knows whether it changed."""


def _identity(manifest: Manifest, passed: Mapping[str, str], said: str) -> str:
    program = manifest.argv()[0]
    own = program == sys.executable
    return _hash(
        {
            "folder": [*_tree(manifest.folder)],
            "program": _content(program),
            "libraries": _libraries(program),
            "platform": _science() if own else "",
            "machine": platform.machine(),
            "variables": {name: [*_named(value)] for name, value in passed.items()},
            "calls": [_called(name, passed) for name in manifest.environment.programs],
            "said": said,
        }
    )


def _called(name: str, passed: Mapping[str, str]) -> list[str]:
    """The content of a program that is found by its name, or by the variable that holds it."""
    word = passed.get(name[1:], "") if name.startswith("$") else name
    found = shutil.which(os.path.expanduser(word)) if word else None
    return [name, _content(found)] if found else [name]


def _named(value: str) -> Iterator[list[str]]:
    """What lies under the paths that a variable names; a word that is no path is itself."""
    for word in value.split(os.pathsep):
        path = os.path.expanduser(word)
        if os.path.isabs(path) and os.path.isdir(path):
            yield from _tree(Path(path))
        elif os.path.isabs(path) and os.path.isfile(path):
            yield [_content(path)]
            if (Path(path).parent.parent / "pyvenv.cfg").is_file():
                yield _libraries(path)
            if path.endswith(".py"):
                yield from _tree(Path(path).parent, of=".py")
        else:
            yield [word]


def _tree(top: Path, of: str = "") -> Iterator[list[str]]:
    """Each file below whose name ends so, by its content; folders behind links by where they lie.
    Environments of Python are looked at as such, not file by file."""
    left = _MOST_FILES
    for folder, names, files in os.walk(top):
        left -= len(names) + len(files)
        if left < 0:
            raise _TooMuch
        if folder != str(top) and "pyvenv.cfg" in files:
            names.clear()
            yield [os.path.relpath(folder, top), *_installed(Path(folder))]
            continue
        names[:] = sorted(name for name in names if name not in _NO_PART)
        for name in names:
            if os.path.islink(linked := os.path.join(folder, name)):
                yield [os.path.relpath(linked, top), os.path.realpath(linked)]
        for path in (os.path.join(folder, name) for name in sorted(files) if name.endswith(of)):
            if os.path.isfile(path):
                yield [os.path.relpath(path, top), _content(path)]


def _content(path: str) -> str:
    state = os.stat(path)
    return _hashed(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@lru_cache(maxsize=8 * _MOST_FILES)
def _hashed(path: str, size: int, written: int, changed: int, number: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _libraries(program: str) -> list[str]:
    """What belongs to an interpreter: its version, its shared library, what is installed there."""
    base = Path(os.path.realpath(program)).parent.parent
    shared = [_content(str(path)) for path in sorted(base.glob("lib/libpython3*.so*"))]
    return [*shared, *_installed(Path(program).parent.parent)]


def _installed(prefix: Path) -> list[str]:
    """Names and versions of what is installed in an environment of Python."""
    found: list[str] = []
    if (told := prefix / "pyvenv.cfg").is_file():
        found += [line for line in told.read_text().splitlines() if line.startswith("version")]
    for folder in sorted(prefix.glob("lib/python3*/*-packages")):
        found += _distributions(str(folder), folder.stat().st_mtime_ns)
    return found


@lru_cache(maxsize=64)
def _distributions(folder: str, changed: int) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(_INSTALLED))


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
