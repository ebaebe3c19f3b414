"""The machine code of every kernel, made before a job needs it."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from usina.apps.cfd.kept import forget_old
from usina.apps.cfd.packing.gravity import dropped, start
from usina.apps.cfd.packing.picture import draw
from usina.apps.cfd.particles import spheres
from usina.apps.cfd.plot import canvas

_SECONDS: Final = 40.0


def call_all(between: Callable[[], None] = lambda: None) -> None:
    """Call every kernel once, and draw, so that no job of this process waits for machine code: it
    is read from what is kept, or made. ``between`` is called now and then, and may raise."""
    bed = start(1.5, dropped(1.5, 12, 0, lambda share: between()), 0, between)
    bed.press(2)
    bed.finished()
    between()
    with TemporaryDirectory() as folder, canvas(Path(folder, "any.png")) as axes:
        axes.plot([0, 1])
    one = spheres(1.0, np.array([[0.0, 0.0, 0.5]]))
    draw(one, 3.0, 3.0, lambda share: between(), side=2)


def keep_all() -> bool:
    """Call every kernel once, so that its machine code is kept, and say whether all of it is; what
    a slow machine does not manage in the time of a probe is left to the next one."""
    forget_old("kernels-")
    until = time.monotonic() + _SECONDS

    def between() -> None:
        if time.monotonic() > until:
            raise TimeoutError

    try:
        call_all(between)
    except TimeoutError:
        return False
    return True
