"""Numba with types stated, and its machine code kept between processes (`usina.apps.cfd.kept`).

Numba looks only at a kernel's own file to see whether it has changed, and a kernel may call those
of another. So what is kept belongs to the sources of all kernels together.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]

from usina.apps.cfd.kept import kept_folder

F = TypeVar("F", bound=Callable[..., Any])

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


def _sources() -> str:
    """Another word for every change of a module with kernels."""
    read = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if b"usina.apps.cfd.jit import" in text:
            read.update(text)
    return read.hexdigest()[:16]


_numba.config.CACHE_DIR = str(kept_folder(f"kernels-{_sources()}"))
