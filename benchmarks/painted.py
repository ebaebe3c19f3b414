"""A painted portrait by diffusers, whose program has to start, against the next one, which finds it
warm: a tiny pipeline of random numbers, so that little but the start is measured. Needs what
``make .venv-diffusers/.installed`` makes."""

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import skimage.data
from tests.avatars.painted.program import PLAIN, PYTHON, SCRIPT, job
from tests.threed.program import Channel

from usina.apps.avatars.diffusion.engine import FolderPlace
from usina.apps.avatars.diffusion.local import LocalPainter
from usina.apps.avatars.diffusion.order import Order

TIMES_LEAST: Final = 3.0
_ORDER: Final = Order("a portrait", "", 0.5, 7.0, 10, 0, None)


def main() -> int:
    os.environ["OMP_NUM_THREADS"] = "1"
    square = np.asarray(skimage.data.astronaut()[:256, 100:356])
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        with closing(LocalPainter(FolderPlace(PLAIN, str(PYTHON)), SCRIPT)) as painter:
            for number in range(4):
                painter.paint(job(Path(home) / str(number), b"", Channel()), square, _ORDER)
                seconds.append(time.perf_counter() - began)
                began = time.perf_counter()
    cold, *warm = seconds
    times = cold / sorted(warm)[1]
    print(f"cold {cold:.1f} s, warm {sorted(warm)[1]:.2f} s: {times:.1f} times")
    print(f"warm is {times:.1f} times faster (aim at least {TIMES_LEAST:g})")
    return int(times < TIMES_LEAST)


if __name__ == "__main__":
    sys.exit(main())
