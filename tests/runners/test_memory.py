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


HIDE = """
    import ctypes
    def file():
        held = os.memfd_create("hidden")
        for _ in range(150):
            os.write(held, b"x" * (4 << 20))
            time.sleep(0.004)
    def segment():
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        for _ in range(150):
            held = libc.shmget(0, ctypes.c_size_t(4 << 20), 0o1600)
            at = libc.shmat(held, None, 0)
            ctypes.memset(at, 1, 4 << 20)
            libc.shmdt(ctypes.c_void_p(at))
            time.sleep(0.004)
    def shared():
        with open("/dev/shm/hidden", "wb", 0) as file:
            for _ in range(150):
                file.write(b"x" * (4 << 20))
    def main(job):
        globals()[job.params["how"]]()
        time.sleep(60)
    usina_runner.run(main)
"""


@pytest.mark.parametrize(
    ("how", "end"),
    [
        ("file", ("out_of_memory", None)),
        ("segment", ("out_of_memory", None)),
        ("shared", ("runner_failed", "os_error")),
    ],
)
@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_memory_that_no_process_shows_is_counted(
    stage: Stage, runner: Make, how: str, end: tuple[str, str | None], mode: str
) -> None:
    act = await stage.play(runner(HIDE, more=f'mode = "{mode}"\n{LIMIT}'), {"how": how})
    assert act.failure == end
