"""The wrappers of real models keep the contract of every runner, tried with their stand-ins."""

from pathlib import Path

import pytest

from tests.models.installed import RUNNERS
from tests.models.workshop import at_home
from usina.kernel.runners.check.suite import examine

STILL = (
    *("manifest", "license", "description", "parameters", "media-types", "outputs", "examples"),
    "probe",
)
TRIED = (
    *("result", "ready", "protocol", "progress", "outputs-made", "output-types", "report", "gates"),
)
"""What says most in few runs; ``usina runner check`` has them all."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("runner", "tried"),
    [
        ("sf3d", TRIED),
        ("spar3d", ()),
        ("triposr", ()),
        ("dreamfusion", ("result", "outputs-made", "report")),
    ],
)
async def test_a_wrapper_keeps_the_contract(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: str, tried: tuple[str, ...]
) -> None:
    at_home(monkeypatch, runner, tmp_path)
    found = await examine(RUNNERS / runner, only=(*STILL, *tried), devices=("GPU-0",))

    assert [f"{each.name}: {each.why}" for each in found if each.verdict == "failed"] == []
    assert sum(each.verdict == "passed" for each in found) >= len(STILL) - 1 + len(tried) // 2
