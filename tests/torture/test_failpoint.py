"""Every dangerous line is killed at once; `make torture` does it ten times over."""

from pathlib import Path

import pytest

from tests.torture.story import PLACES, kill_at


@pytest.mark.timeout(180)
@pytest.mark.parametrize("failpoint", PLACES)
def test_a_kill_at_this_line_loses_nothing(failpoint: str, tmp_path: Path) -> None:
    assert kill_at(failpoint, tmp_path / "data", seed=1) == []
