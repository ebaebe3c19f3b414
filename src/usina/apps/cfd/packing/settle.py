"""Collective settling: all spheres fall a little and push each other apart, again and again.

A position-based relaxation (Müller et al., J. Vis. Commun. Image R. 18, 2007) without friction. A
sweep takes the spheres bottom up: each goes on by most of its last step and sinks, then every pair
that overlaps moves apart. Three things make it quick. Of a pair the upper one moves further
(`Press.lift`), so the load of the whole bed does not crush its lowest layers. All are shaken a
little, which finds denser places. And who may come to touch stands in a list of neighbours within
``1 + SKIN`` (Verlet, Phys. Rev. 159, 1967), good until somebody has moved by half of the skin.

Lengths are in particle diameters.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from usina.apps.cfd.jit import kernel
from usina.apps.cfd.packing.grid import Grid
from usina.imaging.array import Field

SKIN: Final = 0.25

_PAIRS_EACH = 14
_UNIT = 1.0 / (1 << 21)


class Press(NamedTuple):
    """What a sweep does: how far all ``sink``, how much further the upper one of a pair moves
    (``lift``, 0 to 0.5), how far all are shaken (``shake``, across), and how much of its last step
    a sphere goes on by (``keep``)."""

    sink: float
    lift: float
    shake: float
    keep: float
    swift: float


class State(NamedTuple):
    """``centres`` ``(n, 3)`` and where they were a sweep ago; pairs ``(i, j)``, each once: those of
    ``i`` are ``others[starts[i]:starts[i + 1]]``, found when the centres were at ``found_at``;
    ``chance`` ``(1,)`` is what shakes."""

    centres: Field
    before: Field
    starts: NDArray[np.int32]
    others: NDArray[np.int32]
    found_at: Field
    chance: NDArray[np.uint64]

    def copied(self) -> "State":
        return State(
            self.centres.copy(),
            self.before.copy(),
            self.starts.copy(),
            self.others.copy(),
            self.found_at.copy(),
            self.chance.copy(),
        )


def at_rest(centres: Field, seed: int) -> State:
    """To begin with; better the lowest first, since a sweep takes them in their order."""
    count = len(centres)
    return State(
        centres=centres.copy(),
        before=centres.copy(),
        starts=np.zeros(count + 1, np.int32),
        others=np.zeros(count * _PAIRS_EACH, np.int32),
        found_at=np.full((count, 3), 1e9),
        chance=np.array([2 * seed + 1], np.uint64),
    )


@kernel
def settle(state: State, grid: Grid, sweeps: int, press: Press) -> float:
    """So many sweeps, in place; the largest overlap that the last one met."""
    inner = grid.radius - 0.5
    limit = (SKIN / 2) ** 2
    worst = 0.0
    for _ in range(sweeps):
        if _moved(state.centres, state.found_at) > limit:
            _find_pairs(state, grid)
        worst = _sweep(state, inner, press)
    return worst


@kernel
def _sweep(state: State, inner: float, press: Press) -> float:
    centres, others = state.centres, state.others
    worst = 0.0
    for one in range(len(centres)):
        x, y, z = _step(state, one, press)
        for at in range(state.starts[one], state.starts[one + 1]):
            other = others[at]
            dx, dy, dz = centres[other, 0] - x, centres[other, 1] - y, centres[other, 2] - z
            square = dx * dx + dy * dy + dz * dz
            if 1e-12 < square < 1:
                away = math.sqrt(square)
                worst = max(worst, 1 - away)
                apart = (1 - away) / away
                mine = (0.5 - press.lift * dz / away) * apart
                x -= mine * dx
                y -= mine * dy
                z -= mine * dz
                theirs = apart - mine
                centres[other, 0] += theirs * dx
                centres[other, 1] += theirs * dy
                centres[other, 2] += theirs * dz
        z = max(z, 0.5)
        square = x * x + y * y
        if square > inner * inner:
            back = inner / math.sqrt(square)
            x *= back
            y *= back
        centres[one, 0], centres[one, 1], centres[one, 2] = x, y, z
    return worst


@kernel
def _step(state: State, one: int, press: Press) -> tuple[float, float, float]:
    """Where a sphere is before it is pushed."""
    centres, before = state.centres, state.before
    x, y, z = centres[one, 0], centres[one, 1], centres[one, 2]
    next_x = x + _carried(x - before[one, 0], press)
    next_y = y + _carried(y - before[one, 1], press)
    next_z = z + _carried(z - before[one, 2], press) - press.sink
    before[one, 0], before[one, 1], before[one, 2] = x, y, z
    if press.shake > 0:
        # A linear congruential generator (Knuth's MMIX); its upper bits are the good ones.
        state.chance[0] = state.chance[0] * np.uint64(6364136223846793005) + np.uint64(
            1442695040888963407
        )
        drawn = state.chance[0]
        next_x += press.shake * ((drawn >> np.uint64(43)) * _UNIT - 0.5)
        next_y += press.shake * (((drawn >> np.uint64(22)) & np.uint64(0x1FFFFF)) * _UNIT - 0.5)
    return next_x, next_y, next_z


@kernel
def _carried(way: float, press: Press) -> float:
    return min(max(press.keep * way, -press.swift), press.swift)


@kernel
def _moved(centres: Field, since: Field) -> float:
    """The square of the longest way that anyone went."""
    most = 0.0
    for one in range(len(centres)):
        x, y = centres[one, 0] - since[one, 0], centres[one, 1] - since[one, 1]
        z = centres[one, 2] - since[one, 2]
        most = max(most, x * x + y * y + z * z)
    return most


@kernel
def _find_pairs(state: State, grid: Grid) -> None:
    """By cells: each looks at those after it in its own cell, and at half of the cells around."""
    centres = state.centres
    cells, begin, who, rank = _sorted_into_cells(centres, grid)
    plane = grid.across * grid.across
    found = 0
    for one in range(len(centres)):
        state.starts[one] = found
        cell = int(cells[one])
        x, y, z = cell % grid.across, cell % plane // grid.across, cell // plane
        left, right = max(x - 1, 0), min(x + 2, grid.across)
        row = z * plane + y * grid.across
        found = _add_pairs(state, who, one, int(rank[one]) + 1, begin[row + right], found)
        if y + 1 < grid.across:
            row += grid.across
            found = _add_pairs(state, who, one, begin[row + left], begin[row + right], found)
        if z + 1 < grid.up:
            for j in range(max(y - 1, 0), min(y + 2, grid.across)):
                row = (z + 1) * plane + j * grid.across
                found = _add_pairs(state, who, one, begin[row + left], begin[row + right], found)
    state.starts[len(centres)] = found
    state.found_at[:] = centres


@kernel
def _add_pairs(
    state: State, who: NDArray[np.int32], one: int, begin: int, end: int, found: int
) -> int:
    """Of those in a part of the list, the ones within reach; how many pairs there are now."""
    centres, reach = state.centres, (1 + SKIN) ** 2
    x, y, z = centres[one, 0], centres[one, 1], centres[one, 2]
    for at in range(begin, end):
        other = who[at]
        dx, dy, dz = centres[other, 0] - x, centres[other, 1] - y, centres[other, 2] - z
        if dx * dx + dy * dy + dz * dz < reach and found < len(state.others):
            state.others[found] = other
            found += 1
    return found


@kernel
def _sorted_into_cells(
    centres: Field, grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """The cell of each, where each cell begins in the list of who lies where, that list, and the
    place of each in it."""
    count = len(centres)
    cells = np.empty(count, np.int64)
    begin = np.zeros(grid.across * grid.across * grid.up + 1, np.int32)
    for one in range(count):
        x = min(max(int((centres[one, 0] + grid.radius) / grid.width), 0), grid.across - 1)
        y = min(max(int((centres[one, 1] + grid.radius) / grid.width), 0), grid.across - 1)
        z = min(max(int(centres[one, 2] / grid.height), 0), grid.up - 1)
        cells[one] = (z * grid.across + y) * grid.across + x
        begin[cells[one] + 1] += 1
    for cell in range(len(begin) - 1):
        begin[cell + 1] += begin[cell]
    who, rank, filled = np.empty(count, np.int32), np.empty(count, np.int32), begin.copy()
    for one in range(count):
        rank[one] = filled[cells[one]]
        who[rank[one]] = one
        filled[cells[one]] += 1
    return cells, begin, who, rank
