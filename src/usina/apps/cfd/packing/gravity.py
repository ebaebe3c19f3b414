"""A bed as gravity makes it: dropped, settled, and as loose or dense as is asked.

Lengths are in particle diameters, inside of this module.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from usina.apps.cfd.packing.drop import drop
from usina.apps.cfd.packing.grid import Grid, bottom_up, grid_for, likely_height
from usina.apps.cfd.packing.settle import SKIN, Press, State, at_rest, settle
from usina.imaging.array import Field

Between: TypeAlias = Callable[[float], None]
"""Told the share of the work that is done; it may raise to stop it."""

MOST_SWEEPS: Final = 4000
TOLERANCE: Final = 0.003
"""How close a bed comes to the porosity that it is asked for."""

OVERLAP: Final = 2e-4
"""The overlap at which a bed counts as clean, in particle diameters."""

_FILE: Final = 1.0
"""The radius below which spheres lie in single file. Each rests on those below it, so falling alone
makes the bed; a press would bring the weight of all upon the lowest and crush two to one height."""

_STILL, _STILL_IN_FILE = 1e-3, 1e-6
_PRESS = Press(sink=6e-3, lift=0.07, shake=3e-2, keep=0.9, swift=0.05)
_CALM = Press(sink=1e-3, lift=0.1, shake=0.0, keep=0.9, swift=0.01)
_CLEAN = Press(sink=0.0, lift=0.2, shake=0.0, keep=0.9, swift=0.002)
_CALM_SWEEPS, _CLEAN_SWEEPS, _CLEAN_AT_ONCE = 150, 4000, 50
_AT_ONCE = 150_000
_RUNGS = (25, 50, 100, 200, 400, 800, 1600, MOST_SWEEPS)
_TRIES = 14
_USUAL_SWEEPS = 800


class OutOfReach(Exception):
    """No bed of these particles has the porosity; ``low`` and ``high`` are what they reach."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(f"{low:.4f} to {high:.4f}")
        self.low, self.high = low, high


@dataclass(slots=True)
class Bed:
    """Spheres in a tube of ``radius``; ``state`` is where they are while they are pressed, and
    ``swept`` how many sweeps that has taken. ``between`` is called several times a second."""

    radius: float
    state: State
    grid: Grid
    between: Callable[[], None]
    swept: int = 0

    def press(self, upto: int) -> None:
        """Sweep until so many sweeps have been made."""
        if self.radius >= _FILE:
            self._sweep(upto - self.swept, _PRESS)
        self.swept = upto

    def finished(self) -> Field:
        """``(n, 3)``: the centres as they come to rest from here, without overlap. The bed itself
        stays as it is, so it can be pressed further."""
        if self.swept == 0 or self.radius < _FILE:
            return self.state.centres.copy()
        rest = Bed(self.radius, self.state.copied(), self.grid, self.between)
        rest._sweep(min(_CALM_SWEEPS, self.swept // 3), _CALM)
        rest.state.before[:] = rest.state.centres
        for _ in range(_CLEAN_SWEEPS // _CLEAN_AT_ONCE):
            if rest._sweep(_CLEAN_AT_ONCE, _CLEAN) < OVERLAP:
                break
        return rest.state.centres

    def copied(self) -> "Bed":
        return Bed(self.radius, self.state.copied(), self.grid, self.between, self.swept)

    def _sweep(self, sweeps: int, press: Press) -> float:
        worst = 0.0
        for part in _parts(sweeps, max(1, _AT_ONCE // len(self.state.centres))):
            self.between()
            worst = settle(self.state, self.grid, part, press)
        return worst


def dropped(radius: float, count: int, seed: int, between: Between) -> Field:
    """``(count, 3)``: spheres that fell one by one, from places that ``seed`` chose."""
    chance = np.random.default_rng(seed)
    away, turn = (radius - 0.5) * np.sqrt(chance.random(count)), chance.random(count) * 2 * np.pi
    starts = np.column_stack([away * np.cos(turn), away * np.sin(turn)])
    grid = grid_for(radius, likely_height(count, radius), 1.0)
    centres = np.zeros((count, 3))
    first = np.full(grid.across**2 * grid.up, -1, dtype=np.int64)
    after = np.full(count, -1, dtype=np.int64)
    still = _STILL_IN_FILE if radius < _FILE else _STILL
    done = 0
    for part in _parts(count, 250):
        between(done / count)
        drop(centres, done, done + part, starts, grid, first, after, still)
        done += part
    return centres


def start(radius: float, fallen: Field, seed: int, between: Callable[[], None]) -> Bed:
    """The bed of spheres that have fallen, not pressed yet."""
    centres = bottom_up(fallen)
    grid = grid_for(radius, likely_height(len(centres), radius), 1 + SKIN)
    return Bed(radius, at_rest(centres, seed), grid, between)


@dataclass(slots=True)
class Search:
    """Looks for the number of sweeps after which a bed has the ``target``; ``measured`` tells the
    porosity of finished centres. ``best`` is the closest so far."""

    target: float
    measured: Callable[[Field], float]
    between: Between
    best: tuple[float, int, Field] | None = None
    seen: list[float] = field(default_factory=list[float])

    def run(self, bed: Bed) -> tuple[int, Field]:
        """Sweeps and centres; raises `OutOfReach`.

        The bed is pressed rung by rung until it is denser than wanted, then half-way between the
        last two rungs, again and again. Few sweeps more may make a bed a little looser, so the
        search goes on within its last interval as long as no bed is close enough.
        """
        loose, dense = bed.copied(), 0
        if self._look(bed) >= self.target - TOLERANCE:
            for rung, upto in enumerate(_RUNGS):
                self.between(rung / (len(_RUNGS) + _TRIES))
                bed.press(upto)
                if self._look(bed) <= self.target:
                    dense = upto
                    break
                loose = bed.copied()
        for tries in range(_TRIES):
            if self._close() or dense - loose.swept < 2:
                break
            self.between((len(_RUNGS) + tries) / (len(_RUNGS) + _TRIES))
            middle = loose.copied()
            middle.press((loose.swept + dense) // 2)
            if self._look(middle) > self.target:
                loose = middle
            else:
                dense = middle.swept
        if not self._close() or self.best is None:
            if dense == 0:  # looser than these particles fall; how dense they can be is not known
                bed.press(_USUAL_SWEEPS)
                self._look(bed)
            raise OutOfReach(min(self.seen), max(self.seen))
        return self.best[1], self.best[2]

    def _look(self, bed: Bed) -> float:
        centres = bed.finished()
        found = self.measured(centres)
        self.seen.append(found)
        gap = abs(found - self.target)
        if self.best is None or gap < self.best[0]:
            self.best = (gap, bed.swept, centres)
        return found

    def _close(self) -> bool:
        return self.best is not None and self.best[0] <= TOLERANCE


def _parts(count: int, most: int) -> Iterator[int]:
    for begun in range(0, count, most):
        yield min(most, count - begun)
