"""Memory: watched over the whole tree, killed beyond the limit, its peak known per job."""

from collections.abc import Callable

import pytest

from tests.runners.stage import Stage
from usina.kernel.runners.manifest import Manifest

Make = Callable[..., Manifest]
MIB = 1024**2
LIMIT = "[resources]\nmemory_bytes = 134_217_728"

FILL = """
    def main(job):
        held = []
        for _ in range(job.params["mebibytes"] // 4):
            held.append(b"x" * (4 << 20))
            time.sleep(0.004)
    usina_runner.run(main)
"""


async def test_too_much_memory_is_out_of_memory(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner(FILL, more=LIMIT), {"mebibytes": 1000})
    assert act.failure == ("out_of_memory", None)
    assert act.outcome.failure is not None
    assert act.outcome.failure.message == "The program needed more than 128 MiB."
    assert 128 * MIB < (act.outcome.peak_memory_bytes or 0) < 400 * MIB


async def test_the_tree_is_counted_together(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            fill = "import time; held = b'x' * (50 << 20); print(1, flush=True); time.sleep(60)"
            for _ in range(4):
                child = subprocess.Popen([sys.executable, "-S", "-c", fill], stdout=-1)
                child.stdout.readline()
            time.sleep(60)
        usina_runner.run(main)
        """,
        more=LIMIT,
    )
    act = await stage.play(program)
    assert act.failure == ("out_of_memory", None)


async def test_pages_that_processes_share_count_once(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            held = b"x" * (60 << 20)
            for _ in range(6):
                if os.fork() == 0:
                    time.sleep(60)
            time.sleep(0.4)
        usina_runner.run(main)
        """,
        more=LIMIT,
    )
    act = await stage.play(program)
    assert act.failure is None
    assert 60 * MIB < (act.outcome.peak_memory_bytes or 0) < 128 * MIB


@pytest.mark.parametrize("more", [LIMIT, f'mode = "warm"\n{LIMIT}'])
async def test_the_peak_is_the_jobs_own(stage: Stage, runner: Make, more: str) -> None:
    program = runner(FILL, more=more)
    peaks = [
        (await stage.play(program, {"mebibytes": size})).outcome.peak_memory_bytes or 0
        for size in (0, 80, 0)
    ]
    assert peaks[0] < 40 * MIB
    assert 80 * MIB < peaks[1] < 128 * MIB
    assert peaks[2] < 40 * MIB


async def test_the_peak_of_a_warm_program_counts_its_children(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            fill = "import time; held = b'x' * (60 << 20); time.sleep(0.4)"
            if job.params.get("child"):
                subprocess.run([sys.executable, "-S", "-c", fill], check=True)
        usina_runner.run(main)
        """,
        more=f'mode = "warm"\n{LIMIT}',
    )
    large = await stage.play(program, {"child": True})
    assert 60 * MIB < (large.outcome.peak_memory_bytes or 0) < 128 * MIB
