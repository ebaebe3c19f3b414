"""Probes are asked at every start of the platform: quick, and of use to who has to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.installed import RUNNERS
from tests.models.workshop import PREFIX, at_home, manifest


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("runner", PREFIX)
def test_a_probe_is_light_and_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: str
) -> None:
    script = str(RUNNERS / runner / "probe.py")
    loaded = "import runpy, sys; sys.argv = [sys.argv[1]]; runpy.run_path(sys.argv[0]); "
    loaded += "sys.exit(str(sorted({'numpy', 'PIL', 'cv2', 'torch'} & set(sys.modules)) or ''))"
    at_home(monkeypatch, runner, tmp_path)
    there = said("-c", loaded, script)
    monkeypatch.setenv(f"{PREFIX[runner]}_SCRIPT_PATH", str(tmp_path / "nowhere.py"))
    missing = said(script)

    assert there.stderr.strip() == ""
    assert missing.returncode == 1
    assert f"{PREFIX[runner]}_SCRIPT_PATH names" in missing.stderr
    assert manifest(runner).probe is not None
