"""Numba with types stated, and its machine code kept between processes (`usina.apps.cfd.kept`).

A kernel calls only kernels of its own module: Numba looks at no other file to see what has changed.
"""

from collections.abc import Callable
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


_numba.config.CACHE_DIR = str(kept_folder("kernels"))
