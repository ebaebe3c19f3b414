"""The residuals of a failed run, drawn in letters."""

import math

from usina.apps.cfd.foam.text_plot import LETTERS, draw_residuals


def test_what_falls_is_seen_to_fall_and_what_grows_to_grow() -> None:
    iterations = list(range(1, 101))
    falls = [10 ** (-each / 20) for each in iterations]
    grows = [10 ** (each / 25 - 4) for each in iterations]
    plot = draw_residuals(iterations, {"p": grows, "Ux": falls, "Uy": falls, "Uz": falls})
    lines = plot.splitlines()

    columns = {letter: [line.find(letter) for line in lines[:16]] for letter in "p*"}
    shown = [place for place in columns["*"] if place > 0]
    assert shown == sorted(shown), "from the upper left to the lower right"
    shown = [place for place in columns["p"] if place > 0]
    assert shown == sorted(shown, reverse=True)
    assert lines[0].startswith("  1.0e+00 |")
    assert lines[-1].split()[:2] == ["1", "100"]


def test_numbers_that_are_none_are_left_out() -> None:
    assert draw_residuals([1, 2, 3, 4], alike(math.nan, math.inf, 0.0, -1.0)) == ""
    assert draw_residuals([], alike()) == ""
    assert "*" in draw_residuals([7], alike(1e300))


def alike(*values: float) -> dict[str, list[float]]:
    return {name: [*values] for name in LETTERS}
