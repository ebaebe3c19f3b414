"""The log: live, in order, held to its limit; and nonsense on the protocol's descriptor."""

from collections.abc import Callable

import pytest

from tests.runners.stage import Recorder, Stage
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits, StopSignal

Make = Callable[..., Manifest]


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits(log_bytes=1_000_000, artifacts=10, metrics=10)


async def test_the_log_comes_while_the_program_runs(stage: Stage, runner: Make) -> None:
    stop = StopSignal()
    told = Recorder(on_log=lambda data: stop.request())
    program = runner("echo alive; sleep 60", shell=True)
    act = await stage.play(program, told=told, stop=stop)
    assert act.failure == ("cancelled", None)
    assert act.told.text == "alive\n"


async def test_a_log_message_comes_after_the_output_before_it(stage: Stage, runner: Make) -> None:
    """Two pipes have no common order: output written after a message may still overtake it."""
    program = runner(
        """
        def main(job):
            for number in range(200):
                print("out", number, flush=True)
                job.log("info", f"told {number}")
        usina_runner.run(main)
        """
    )
    act = await stage.play(program)
    lines = act.told.text.splitlines()
    written = [line for line in lines if line.startswith("out")]
    told = [line for line in lines if line.startswith("[info]")]
    assert written == [f"out {number}" for number in range(200)]
    assert told == [f"[info] told {number}" for number in range(200)]
    assert all(lines.index(w) < lines.index(t) for w, t in zip(written, told, strict=True))


async def test_a_log_message_stands_in_a_line_of_its_own(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            print("half a line", end="", flush=True)
            job.log("warning", "told")
        usina_runner.run(main)
        """
    )
    act = await stage.play(program)
    assert act.told.text == "half a line\n[warning] told\n"


async def test_a_gigabyte_of_log_is_cut(stage: Stage, runner: Make) -> None:
    program = runner("yes 0123456789 | head -n 91000000; echo the end; exit 9", shell=True)
    act = await stage.play(program, timeout=100)
    assert act.failure == ("runner_failed", "exit_code")
    assert act.told.output[:1_000_000] == (b"0123456789\n" * 100_000)[:1_000_000]
    assert (
        act.told.output[1_000_000:] == b"\n[usina] the log is cut here: it may have 1000000 bytes\n"
    )
    assert act.outcome.log_tail.endswith("the end\n")
    assert act.outcome.failure is not None
    assert act.outcome.failure.message.endswith("| the end")


async def test_binary_output_passes_through(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner("printf '\\377\\000\\n'; printf 'half'; exit 1", shell=True))
    assert bytes(act.told.output) == b"\xff\x00\nhalf"


async def test_nonsense_on_the_protocol_is_told_once_and_ends_nothing(
    stage: Stage, runner: Make
) -> None:
    program = runner(
        """
        def main(job):
            os.write(3, b"no json\\n\\xff\\xfe\\x00\\n{}\\n" + b"x" * 200_000 + b"\\n")
            job.sleep(0.05)
            os.write(3, b'{"type": "progress", "progress": NaN}\\n{"type": "progr')
            job.sleep(0.05)
            os.write(3, b'ess", "progress": 0.5}\\n')
        usina_runner.run(main)
        """
    )
    act = await stage.play(program)
    assert act.failure is None
    assert act.told.steps == [(0.5, None)]
    assert act.told.text == "[usina] lines on descriptor 3 that are no messages were ignored\n"


async def test_a_half_line_at_the_end_is_no_result(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner('printf \'{"type":"result"}\' >&3', shell=True))
    assert act.failure == ("runner_failed", "no_result")


@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_ten_million_lines_of_progress_are_survived(
    stage: Stage, runner: Make, mode: str
) -> None:
    """In a time that is bounded, and with the loop free for others."""
    program = runner(
        """
        def main(job):
            line = b'{"type":"progress","progress":0.5,"stage":"flood"}\\n'
            for _ in range(10_000):
                data = memoryview(line * 1000)
                while data:
                    data = data[os.write(3, data):]
            line = b'{"type":"metric","name":"m%d","value":1}\\n'
            metrics = b"".join(line % number for number in range(5000))
            for start in range(0, len(metrics), 1 << 16):
                os.write(3, metrics[start : start + (1 << 16)])
        usina_runner.run(main)
        """,
        more=f'mode = "{mode}"',
    )
    act = await stage.play(program, timeout=100)
    assert act.failure is None
    assert act.told.steps[-1] == (0.5, "flood")
    assert len(act.told.steps) < 100_000
    assert len(act.outcome.metrics) == 10


async def test_more_artifacts_than_allowed_fail_the_job(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            for number in range(job.params["files"]):
                (job.outputs / str(number)).touch()
                job.artifact(str(number), "data")
        usina_runner.run(main)
        """
    )
    assert (await stage.play(program, {"files": 10})).failure is None
    act = await stage.play(program, {"files": 100_000 // 1000})
    assert act.failure == ("runner_failed", "bad_artifact")
