"""Blender as a program that lets particles fall: found, started, followed, ended.

Only ``bake.py`` knows Blender's own language; what goes in and comes out is JSON, in particle
diameters.
"""

import json
import math
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from usina.apps.cfd.packing.installation import find_blender
from usina.apps.cfd.packing.order import Order
from usina.apps.cfd.particles import Particles, Shape
from usina.apps.cfd.surface import particle_surface
from usina.imaging.array import Field, Indices
from usina_runner import Failure

STILL: Final = 2e-3
"""A bed has settled when nobody moves further than this in a frame, in particle diameters."""

_LEAST_FRAMES = 50
_BLOCKS = 16
_SAID = re.compile(r"USINA (\d+) (\d+) (\S+)")
_LINES_KEPT = 30


@dataclass(frozen=True, slots=True)
class Baked:
    """The particles where they came to rest after so many ``frames``; ``fastest`` is how far the
    fastest still moves in a frame, in particle diameters."""

    particles: Particles
    frames: int
    fastest: float

    @property
    def settled(self) -> bool:
        return self.fastest <= STILL


def bake(
    script: Path, order: Order, frames: int, folder: Path, between: Callable[[float], None]
) -> Baked:
    """Let the particles of an order fall, for so many frames at most, with files in ``folder``.
    ``between`` is told the share that is done, and may raise to stop it. Raises ``Failure``."""
    scene, poses = folder / "scene.json", folder / "poses.json"
    scene.write_text(json.dumps(_scene(order, frames)), encoding="ascii")
    _run(script, scene, poses, between)
    try:
        told = json.loads(poses.read_bytes())
    except (OSError, ValueError):
        raise Failure("runner_failed", "no_poses", "Blender ended without poses.") from None
    rows = np.array(told["poses"], dtype=np.float64)
    turns = rows[:, 3:] / np.linalg.norm(rows[:, 3:], axis=1, keepdims=True)
    centres = rows[:, :3] * order.shape.diameter_m
    return Baked(Particles(order.shape, centres, turns), told["frames"], float(told["fastest"]))


def _scene(order: Order, frames: int) -> dict[str, Any]:
    """What ``bake.py`` is told."""
    unit = order.shape.diameter_m
    assert order.count is not None
    points, faces = _collision(order.shape)
    places, turns = _starts(order)
    return {
        "shape": order.shape.kind,
        "radius": order.diameter_m / 2 / unit,
        "tall": float(places[:, 2].max()) + 2 * order.shape.reach_m / unit,
        "frames": frames,
        "least_frames": min(_LEAST_FRAMES, frames),
        "still": STILL,
        "points": (points / unit).tolist(),
        "faces": faces.tolist(),
        **_blocks(order.shape),
        "places": places.tolist(),
        "turns": turns.tolist(),
    }


def _collision(shape: Shape) -> tuple[Field, Indices]:
    """Points and faces by whose bounds Blender takes its own exact bodies."""
    surface = particle_surface(shape, 2)
    points = surface.points.copy()
    if shape.kind == "sphere":
        points = shape.diameter_m / 2 * np.concatenate([np.eye(3), -np.eye(3)])
        corners = [(x, y, z) for x in (0, 3) for y in (1, 4) for z in (2, 5)]
        return points, np.array(corners, dtype=np.int64)
    if shape.kind != "cube":
        points[:, :2] *= shape.diameter_m / 2 / np.hypot(points[:, 0], points[:, 1]).max()
    return points, surface.faces


def _blocks(shape: Shape) -> dict[str, Any]:
    """A ring as blocks around its bore: half the sides of one, and for each how it is turned and
    where its middle lies. Its corners reach as far out of the circle as its face lies within."""
    if shape.kind != "ring":
        return {"block": [1, 1, 1], "blocks": []}
    inner, step = shape.inner_diameter_m / shape.diameter_m / 2, math.pi / _BLOCKS
    outer = (1 + math.cos(step)) / 4
    middle, deep = (inner + outer) / 2, (outer - inner) / 2
    long = shape.length_m / shape.diameter_m / 2
    turns = [2 * step * number for number in range(_BLOCKS)]
    around = [(turn, (middle * math.cos(turn), middle * math.sin(turn))) for turn in turns]
    return {"block": [deep, outer * math.tan(step), long], "blocks": around}


def _starts(order: Order) -> tuple[Field, Field]:
    """``(n, 3)`` places above the floor that do not overlap, and ``(n, 3)`` angles: layers of a
    square lattice, each turned and moved a little by chance."""
    chance = np.random.default_rng(order.seed)
    unit = order.shape.diameter_m
    apart = 2.02 * order.shape.reach_m / unit
    room = order.diameter_m / 2 / unit - apart / 2
    placed: list[Field] = []
    count, up = order.count or 0, apart / 2 + 0.1
    while sum(map(len, placed)) < count:
        layer = _layer(room, apart, chance)
        heights = up + 0.1 * chance.random(len(layer))
        placed.append(np.column_stack([layer, heights]))
        up += apart + 0.1
    turns = chance.uniform(0, 2 * math.pi, (count, 3))
    if order.shape.kind == "sphere":
        turns[:] = 0
    return np.concatenate(placed)[:count], turns


def _layer(room: float, apart: float, chance: np.random.Generator) -> Field:
    """``(m, 2)``: places within ``room`` of the axis; one at least."""
    steps = np.arange(-math.ceil(room / apart) - 1, math.ceil(room / apart) + 2) * apart
    x, y = (part.ravel() for part in np.meshgrid(steps, steps))
    turn, aside = chance.uniform(0, 2 * math.pi), chance.uniform(-0.5, 0.5, 2) * apart
    x, y = x + aside[0], y + aside[1]
    places = np.column_stack(
        [x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)]
    )
    inside = places[np.hypot(places[:, 0], places[:, 1]) <= room]
    if len(inside) == 0:
        away, angle = max(room, 0) * math.sqrt(chance.random()), chance.uniform(0, 2 * math.pi)
        return np.array([[away * math.cos(angle), away * math.sin(angle)]])
    return chance.permutation(inside)


def _run(script: Path, scene: Path, poses: Path, between: Callable[[float], None]) -> None:
    """Start it and follow what it says; its whole tree ends with this call, however that ends."""
    command = [find_blender(), "--background", "--factory-startup", "--threads", "1"]
    command += ["--python-exit-code", "3", "--python", str(script)]
    command += ["--", str(scene), str(poses)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    said = _Listener(process.stdout)
    try:
        while process.poll() is None:
            between(said.share)
            said.heard.wait(0.1)
            said.heard.clear()
    finally:
        _end(process)
        said.thread.join()
    if process.returncode:
        last = "; ".join(list(said.lines)[-4:])
        raise Failure(
            "runner_failed", "blender_failed", f"Blender ended with {process.returncode}: {last}"
        )


class _Listener:
    """Reads what the program says, shows it in the log, and keeps its last lines."""

    def __init__(self, output: IO[str] | None) -> None:
        assert output is not None
        self._output = output
        self.share = 0.0
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.heard = threading.Event()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        for line in self._output:
            told = _SAID.match(line)
            if told is not None:
                self.share = int(told[1]) / int(told[2])
            elif line.strip():
                self.lines.append(line.strip()[:300])
                print(line, end="", flush=True)  # noqa: T201  # the job's log
            self.heard.set()
        self._output.close()


def _end(process: "subprocess.Popen[str]") -> None:
    """Dead, with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
