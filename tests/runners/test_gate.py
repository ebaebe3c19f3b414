"""Gates in a manifest: what is a bound, what is none, and what holds."""

from pathlib import Path

import pytest

from tests.runners.test_manifest import load
from usina.kernel.runners.gate import GateSpec, judge
from usina.kernel.runners.manifest import ManifestError

HEAD = '[gates.g]\nmetric = "m"\nmessage = "Why."\n'


@pytest.mark.parametrize(
    ("bound", "limit", "holds", "breaks"),
    [
        ("equals = true", "= true", [True, 1, 1.0], [False, 0, 2, "true"]),
        ("equals = 3", "= 3", [3, 3.0], [2.999, "3"]),
        ('equals = "manifold"', "= manifold", ["manifold"], ["Manifold", 1]),
        ("at_least = 0.5", ">= 0.5", [0.5, 1], [0.4999, "1"]),
        ("at_most = 0", "<= 0", [0, -1.5], [1e-9, "0"]),
        ("at_least = 1\nat_most = 2", ">= 1 and <= 2", [1, 2], [0.9, 2.1]),
    ],
)
def test_a_bound_holds_or_breaks(
    tmp_path: Path, bound: str, limit: str, holds: list[float | str], breaks: list[float | str]
) -> None:
    gates = load(tmp_path, HEAD + bound).gates
    assert gates["g"].limit == limit
    assert [judge(gates, {"m": value})[0].ok for value in holds] == [True] * len(holds)
    assert [judge(gates, {"m": value})[0].ok for value in breaks] == [False] * len(breaks)


def test_what_was_not_told_is_not_passed() -> None:
    gate = GateSpec(metric="m", message="Why.", at_least=1)
    [judged] = judge({"g": gate}, {"other": 5})
    assert (judged.ok, judged.value, judged.limit) == (None, None, ">= 1")
    assert judged.message == "Not checked: the program told no metric 'm'. Why."


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (HEAD, "equals, or at_least"),
        (HEAD + "equals = 1\nat_most = 2", "equals, or at_least"),
        (HEAD + "at_least = 2\nat_most = 1", "at_least is above at_most"),
        (HEAD + "at_least = nan", "finite"),
        (HEAD + "equals = 1\nbound = 2", "gates.g.bound"),
        ('[gates.g]\nmetric = "m"\nequals = 1', "gates.g.message"),
        ('[gates.g]\nmessage = "m"\nequals = 1', "gates.g.metric"),
    ],
)
def test_a_gate_without_a_clear_bound_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        load(tmp_path, lines)
