"""What libraries make once and would make again in every process, kept beside the source.

A program in the sandbox may write only to its work folder, so what it made there is lost with the
job. `kept_folder` gives a folder below `KEPT` to the first process that may write there, which is a
model's probe: it runs outside of the sandbox. A process that may not gets a copy of its own.
"""

import atexit
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / "__pycache__"

_OLD_SECONDS: Final = 86_400
_LIBRARIES: Final = ("matplotlib", "numba", "numpy")


def kept_folder(name: str) -> Path:
    """The folder of that name that this process may write to, with what is kept in it."""
    folder = KEPT / name
    if not _writable(folder):
        copy = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        if folder.is_dir():
            shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=_unfinished)
        return copy
    return folder


def forget_old(prefix: str) -> None:
    """Remove the folders of such names that nobody has written to for a day."""
    for folder in KEPT.glob(f"{prefix}*"):
        if time.time() - folder.stat().st_mtime > _OLD_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def can_keep() -> bool:
    """Whether this process may write there."""
    return _writable(KEPT)


def once(name: str, make: Callable[[], bool], also: Sequence[Path] = ()) -> None:
    """Makes what is to be kept, unless these very sources and libraries, and the files that are
    named ``also``, have made it here before; ``make`` says whether it is all there now.

    A probe asks this at every start, so the answer costs a look at some files.
    """
    done = KEPT / "made" / f"{name}-{_state(also)}"
    if not done.exists() and make():
        with suppress(OSError):
            done.parent.mkdir(parents=True, exist_ok=True)
            for older in done.parent.glob(f"{name}-*"):
                older.unlink(missing_ok=True)
            done.touch()


def _state(also: Sequence[Path]) -> str:
    """Another one for every change of the room's sources, the libraries or Python."""
    found = [find_spec(library) for library in _LIBRARIES]
    files = [Path(spec.origin) for spec in found if spec and spec.origin]
    state = hashlib.sha256(sys.version.encode())
    for file in (*files, *also, *sorted(KEPT.parent.rglob("*.py"))):
        seen = file.stat()
        state.update(f"{file} {seen.st_mtime_ns} {seen.st_size}\n".encode())
    return state.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _unfinished(folder: str, names: list[str]) -> list[str]:
    """What another process is still writing."""
    return [name for name in names if ".tmp" in name or name.endswith(".lock")]
