"""Numba with types stated, and its machine code kept between processes.

A program in the sandbox may write only to its work folder, so what it compiled would be lost with
the job. The code is kept beside the source instead, in `KEPT`, by the first process that may write
there, which is a model's probe: it runs outside of the sandbox, and calls each kernel once. A
process that may not write there begins with a copy in its own folder.

A kernel calls only kernels of its own module: Numba looks at no other file to see what has changed.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]

F = TypeVar("F", bound=Callable[..., Any])

KEPT: Final = Path(__file__).parent / "__pycache__" / "kernels"

_numba = cast("Any", numba)


def kernel(function: F) -> F:
    """Compiled at its first call; IEEE arithmetic in the order that is written, so that the same
    numbers go in and out on every machine of one kind. It lets other threads run meanwhile."""
    return cast("F", _numba.njit(cache=True, nogil=True)(function))


def parallel_kernel(function: F) -> F:
    """As `kernel`, its loops over `spread` shared by the threads of `set_threads`."""
    return cast("F", _numba.njit(cache=True, nogil=True, parallel=True)(function))


def fast_parallel_kernel(function: F) -> F:
    """As `parallel_kernel`, with sums in whatever order is fastest."""
    return cast("F", _numba.njit(cache=True, nogil=True, parallel=True, fastmath=True)(function))


spread: Callable[[int], range] = _numba.prange
"""``range`` whose turns a parallel kernel may take at once."""


def set_threads(count: int) -> None:
    """How many threads parallel kernels use, within what the process was started with."""
    _numba.set_num_threads(max(1, min(count, int(_numba.config.NUMBA_NUM_THREADS))))


def _keep() -> Path:
    """The folder of compiled code: `KEPT` where it can be written, else a copy of it."""
    try:
        KEPT.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=KEPT).close()
    except OSError:
        copy = Path(tempfile.mkdtemp(prefix="kernels-"))
        if KEPT.is_dir():
            shutil.copytree(KEPT, copy, dirs_exist_ok=True, ignore=_unfinished)
        return copy
    return KEPT


def _unfinished(folder: str, names: list[str]) -> list[str]:
    """What another process is still writing."""
    return [name for name in names if ".tmp." in name]


_numba.config.CACHE_DIR = str(_keep())
