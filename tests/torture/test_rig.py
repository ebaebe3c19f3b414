"""The short form of the rig: every process of a distributed platform, under kills of every kind."""

from pathlib import Path

import pytest

from tests.torture.rig.plan import Plan
from tests.torture.rig.run import Run


@pytest.mark.timeout(300)
async def test_a_distributed_platform_under_kills_loses_nothing(tmp_path: Path) -> None:
    report = await Run(Plan(seed=1, jobs=150, kills=20, folder=tmp_path)).go()
    assert report.broken == {}, report.text()
    assert sum(report.faults.values()) >= 20
    assert len(report.faults) >= 15
    assert sum(report.statuses.values()) >= 150
