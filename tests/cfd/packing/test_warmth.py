"""What a program that stays loaded has at hand for every job, whatever the first one was."""

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import shutil
import sys
from pathlib import Path

from usina.apps.cfd import kept

folder = Path(sys.argv[1])
for found in kept.KEPT.glob("kernels-*"):
    shutil.copytree(found, folder / "kept" / found.name)
kept.KEPT = folder / "kept"

from numba.core.event import install_recorder
from usina.apps.cfd.packing.warmth import call_all
from tests.cfd.packing.program import V1, run

call_all()
shutil.rmtree(kept.KEPT)
with install_recorder("numba:compile") as made:
    run(V1, folder / "dropped", particle_count=30)
    run(V1, folder / "loose", particle_count=30, sweeps=0)
    run(V1, folder / "layers", method="hexagonal", stacking="fcc", particle_count=40)
print([event.data["dispatcher"].py_func.__name__ for _, event in made.buffer if event.is_start])
"""


def test_no_job_makes_machine_code_once_the_folder_where_it_was_read_is_gone(
    tmp_path: Path,
) -> None:
    """The home of a program is emptied between its jobs."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
