"""From a sentence to the files of every object of `parametric-v1`, against the time it may take.

First the runner's own work, warm: reading the prompt, building and joining the solids, writing GLB
and OBJ. Then whole jobs on one core, which draw 28 views and judge printing besides, in seconds of
the processor: these are told, and held to no limit.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.job import job_in, program
from usina.apps.threed.gltf import to_painted_glb
from usina.apps.threed.parametric.catalogue import THINGS
from usina.apps.threed.parametric.order import take_order
from usina.apps.threed.parametric.scene import compose
from usina.apps.threed.wavefront import to_painted_zip

SECONDS_MOST: Final = 0.5
_ROUNDS: Final = 5
_MODEL: Final = "parametric-v1"
_WHOLE: Final = ("cube", "mug", "gear", "4 chairs and a table")
_SCENES: Final = {
    "20 chairs": "20 chairs",
    "a set of screws": "4 M8x40 bolts, 4 M8 nuts, 4 M8 washers, 4 M6x20 socket screws",
}


def _make(prompt: str) -> int:
    """How many triangles were written."""
    bodies = [body for order in take_order(prompt) for body in order.make(0).bodies]
    painted = compose(bodies).painted
    to_painted_glb(painted, "model")
    to_painted_zip(painted)
    return len(painted.faces)


def _whole_jobs() -> None:
    """What a caller waits for, by stage."""
    make = program(_MODEL)
    with tempfile.TemporaryDirectory() as home:
        make(job_in(Path(home) / "warm", _MODEL, {}, prompt="cube"))
        for name in _WHOLE:
            job = job_in(Path(home) / name, _MODEL, {}, prompt=name)
            began = time.process_time()
            make(job)
            took = time.process_time() - began
            stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in job.seconds.items())
            print(f"{name:>16}  {took:6.3f} s as a whole job ({stages})")


def main() -> int:
    prompts = {thing.name: thing.english[0] for thing in THINGS} | _SCENES
    prompts["sign"] += ' "USINA"'
    _make("cube")
    slowest = 0.0
    for name, prompt in prompts.items():
        seconds: list[float] = []
        faces = 0
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            faces = _make(prompt)
            seconds.append(time.perf_counter() - began)
        took = statistics.median(seconds)
        slowest = max(slowest, took if name not in _SCENES else 0.0)
        print(
            f"{name:>16}  {took:6.3f} s  {took / SECONDS_MOST:5.0%} of the limit  {faces:7} faces"
        )
    _whole_jobs()
    print(f"the slowest object takes {slowest:.2f} s (aim at most {SECONDS_MOST:g})")
    return int(slowest > SECONDS_MOST)


if __name__ == "__main__":
    sys.exit(main())
