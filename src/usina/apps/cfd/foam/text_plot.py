"""Residuals drawn in letters, for a failed job: of its files only the log stays."""

from collections.abc import Mapping, Sequence
from math import isfinite, log10
from typing import Final

LETTERS: Final = {"p": "p", "Ux": "x", "Uy": "y", "Uz": "z"}
_WIDTH: Final = 72
_HEIGHT: Final = 16
_MOST_DECADES: Final = 24


def draw_residuals(iterations: Sequence[int], residuals: Mapping[str, Sequence[float]]) -> str:
    """Lines of text: the initial residual of each field against the iteration, by decades. Where
    letters meet, a ``*`` stands; a number that is none is left out. Empty when there is nothing to
    draw."""
    points = [
        (iteration, log10(value), letter)
        for name, letter in LETTERS.items()
        for iteration, value in zip(iterations, residuals[name], strict=True)
        if isfinite(value) and value > 0
    ]
    if not points:
        return ""
    first, last = iterations[0], max(iterations[-1], iterations[0] + 1)
    high = max(level for _, level, _ in points)
    low = max(min(level for _, level, _ in points), high - _MOST_DECADES)
    step = max(high - low, 1.0) / (_HEIGHT - 1)
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for iteration, level, letter in points:
        row = min(_HEIGHT - 1, round((high - level) / step))
        column = round((iteration - first) / (last - first) * (_WIDTH - 1))
        rows[row][column] = letter if rows[row][column] in (" ", letter) else "*"
    lines = [
        f"{10 ** (high - number * step):>9.1e} |{''.join(row).rstrip()}"
        for number, row in enumerate(rows)
    ]
    axis = f"{'':>9} +{'-' * _WIDTH}"
    scale = f"{'':>10}{first:<{_WIDTH // 2}}{last:>{_WIDTH // 2}}"
    return "\n".join([*lines, axis, f"{scale}  iteration; p pressure, x y z velocity"])
