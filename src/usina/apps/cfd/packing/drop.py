"""Drop and roll: one sphere after the other falls, rolls off what it meets, and stays where it
lies (Visscher and Bolsterli, Nature 239, 1972).

Lengths are in particle diameters. No sphere moves any more once it lies, which makes a loose bed.
"""

import math

import numpy as np

from usina.apps.cfd.jit import kernel
from usina.apps.cfd.packing.grid import Grid
from usina.imaging.array import Field, Indices

TOUCH = 1e-7
"""By how much, at most, spheres that lie overlap."""

_STEP = 0.25
_LEAST_STEP = 2e-4
_PUSHES = 24


@kernel
def drop(
    centres: Field,
    begun: int,
    upto: int,
    starts: Field,
    grid: Grid,
    first: Indices,
    after: Indices,
    still: float,
) -> None:
    """Let spheres ``begun`` to ``upto`` of ``centres`` ``(n, 3)`` fall, each from where ``starts``
    ``(n, 2)`` says. One lies still where it would fall by less than a share ``still`` of its step
    any more. ``first`` (a number for each cell) and ``after`` ``(n,)`` chain who lies in a cell; -1
    ends a chain."""
    inner = grid.radius - 0.5
    top = 0.5
    for one in range(begun):
        top = max(top, centres[one, 2])
    place, trial = np.empty(3), np.empty(3)
    for one in range(begun, upto):
        place[0], place[1], place[2] = starts[one, 0], starts[one, 1], top + 1.0
        step = _STEP
        while step > _LEAST_STEP:
            trial[:] = place
            trial[2] -= step
            free = _freed(trial, centres, inner, grid, first, after)
            if free and trial[2] < place[2] - still * step:
                place[:] = trial
                step = min(_STEP, 1.5 * step)
            else:
                step *= 0.5
        centres[one] = place
        top = max(top, place[2])
        cell = _cell_of(place, grid)
        after[one] = first[cell]
        first[cell] = one


@kernel
def _freed(
    place: Field, centres: Field, inner: float, grid: Grid, first: Indices, after: Indices
) -> bool:
    """Push ``place`` out of all that it overlaps; whether that was possible."""
    for _ in range(_PUSHES):
        worst = _contain(place, inner)
        x, y = (
            _number(place[0] + grid.radius, grid.width),
            _number(place[1] + grid.radius, grid.width),
        )
        z = _number(place[2], grid.height)
        for i in range(_clip(x - 1, grid.across), _clip(x + 1, grid.across) + 1):
            for j in range(_clip(y - 1, grid.across), _clip(y + 1, grid.across) + 1):
                for k in range(_clip(z - 1, grid.up), _clip(z + 1, grid.up) + 1):
                    other = first[(i * grid.across + j) * grid.up + k]
                    while other >= 0:
                        worst = max(worst, _push_out(place, centres, int(other)))
                        other = after[other]
        if worst < TOUCH:
            return True
    return False


@kernel
def _contain(place: Field, inner: float) -> float:
    """Put a centre back between wall and floor; by how much it was outside."""
    deep = 0.5 - place[2]
    if deep > 0:
        place[2] = 0.5
    out = math.sqrt(place[0] * place[0] + place[1] * place[1])
    if out > inner:
        place[0] *= inner / out
        place[1] *= inner / out
    return max(deep, out - inner)


@kernel
def _push_out(place: Field, centres: Field, other: int) -> float:
    """Move a centre away from another to where they touch; by how much they overlapped."""
    x, y = place[0] - centres[other, 0], place[1] - centres[other, 1]
    z = place[2] - centres[other, 2]
    square = x * x + y * y + z * z
    if square >= 1:
        return 0.0
    if square < 1e-12:
        place[2] += 1
        return 1.0
    away = math.sqrt(square)
    push = (1 - away) / away
    place[0] += push * x
    place[1] += push * y
    place[2] += push * z
    return 1 - away


@kernel
def _cell_of(place: Field, grid: Grid) -> int:
    x = _clip(_number(place[0] + grid.radius, grid.width), grid.across)
    y = _clip(_number(place[1] + grid.radius, grid.width), grid.across)
    z = _clip(_number(place[2], grid.height), grid.up)
    return (x * grid.across + y) * grid.up + z


@kernel
def _number(place: float, width: float) -> int:
    return int(place / width)


@kernel
def _clip(number: int, count: int) -> int:
    return min(max(number, 0), count - 1)
