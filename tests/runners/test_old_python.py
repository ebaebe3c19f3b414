"""`usina_runner` runs where old models live: Python 3.8, as it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

import usina_runner
from tests.old_python import OLDEST, OldPython, old_python


def newest_feature_of(path: str) -> subprocess.CompletedProcess[str]:
    """Judged by its syntax and by what it uses of the standard library."""
    vermin = Path(sys.executable).with_name("vermin")
    command = [str(vermin), "--no-tips", f"--target=3.{OLDEST}-", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_uses_nothing_newer() -> None:
    judged = newest_feature_of(usina_runner.__file__)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize(
    ("line", "needs"), [("match 1:\n    case 1: pass\n", "3.10"), ("import graphlib\n", "3.9")]
)
def test_something_newer_would_be_noticed(tmp_path: Path, line: str, needs: str) -> None:
    path = tmp_path / "newer.py"
    path.write_text(line)
    judged = newest_feature_of(str(path))
    assert (judged.returncode, needs in judged.stdout) == (1, True), judged.stdout


def test_it_loads_in_the_oldest_python_of_this_machine() -> None:
    found: OldPython = old_python()
    code = "import sys, usina_runner; print(sys.version.split()[0], usina_runner.Job.__name__)"
    folder = usina_runner.__file__.rpartition("/usina_runner/")[0]
    command = [str(found.path), "-S", "-c", f"import sys; sys.path.insert(0, {folder!r}); {code}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.stdout, told.stderr) == (f"{found.version} Job\n", "")
