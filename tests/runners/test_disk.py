"""The disk: what a program keeps is counted, however it hides it, and ends the job by its name."""

from collections.abc import Callable

import pytest

from tests.runners.stage import Stage
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits

Make = Callable[..., Manifest]
MIB = 1024**2
MODES = ["cold", "warm"]

FILL = """
    def write(path, mebibytes):
        file = open(path, "wb", 0)
        for _ in range(mebibytes):
            file.write(bytes(1 << 20))
        return file
    def in_one():
        write("outputs/big", 4000)
    def in_many():
        for number in range(4000):
            write(f"outputs/{number}", 1).close()
    def in_home():
        write(os.environ["HOME"] + "/big", 4000)
    def in_deleted():
        held = []
        for number in range(50):
            held.append(open(str(number), "wb", 0))
            os.unlink(str(number))
        for _ in range(80):
            for file in held:
                file.write(bytes(1 << 20))
    def files():
        for number in range(1_000_000):
            open(f"outputs/{number}", "w").close()
    def folders():
        for number in range(1_000_000):
            os.mkdir(f"outputs/{number}")
    def links():
        for number in range(1_000_000):
            os.symlink("nowhere", f"inputs/{number}")
    def depth():
        for number in range(1_000_000):
            os.mkdir("deeper")
            os.chdir("deeper")
    def main(job):
        globals()[job.params["how"]]()
        time.sleep(60)
    usina_runner.run(main)
"""


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits(disk_bytes=64 * MIB, files=2000)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["in_one", "in_many", "in_home", "in_deleted"])
async def test_a_full_disk_is_prevented(stage: Stage, runner: Make, how: str, mode: str) -> None:
    act = await stage.play(runner(FILL, more=f'mode = "{mode}"'), {"how": how})
    assert act.failure == ("runner_failed", "too_much_disk")
    assert act.outcome.failure is not None
    assert act.outcome.failure.retryable is False
    act.work.remove()
    assert not act.work.path.exists()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["files", "folders", "links", "depth"])
async def test_names_do_not_run_out(stage: Stage, runner: Make, how: str, mode: str) -> None:
    act = await stage.play(runner(FILL, more=f'mode = "{mode}"'), {"how": how})
    assert act.failure == ("runner_failed", "too_many_files")
    act.work.remove()
    assert not act.work.path.exists()


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_taken_away_again_is_not_counted(
    stage: Stage, runner: Make, mode: str
) -> None:
    program = runner(
        """
        def main(job):
            for _ in range(4):
                with open("big", "wb", 0) as file:
                    file.write(bytes(40 << 20))
                for number in range(700):
                    open(f"outputs/{number}", "w").close()
                for number in range(700):
                    os.unlink(f"outputs/{number}")
        usina_runner.run(main)
        """,
        more=f'mode = "{mode}"',
    )
    for _ in range(2):
        act = await stage.play(program)
        assert act.failure is None


class TestMany:
    @pytest.fixture
    def limits(self) -> RunnerLimits:
        return RunnerLimits()

    async def test_a_hundred_thousand_files_are_allowed_and_removed(
        self, stage: Stage, runner: Make
    ) -> None:
        program = runner(
            """
            def main(job):
                for number in range(100_000):
                    os.close(os.open(f"outputs/{number}", os.O_CREAT | os.O_WRONLY))
                job.artifact("99999", "data")
            usina_runner.run(main)
            """
        )
        act = await stage.play(program, timeout=100)
        assert act.failure is None
        assert list(act.outputs()) == ["99999"]
        act.work.remove()
        assert not act.work.path.exists()
