"""Told, TERM, KILL: nothing of a program outlives its job, its launcher or the platform."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runners.stage import Recorder, Stage, alive, parent_of, processes_at, processes_of, until
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits, Sandbox, StopSignal, clear_leftovers

Make = Callable[..., Manifest]

TREE = """
    def main(job):
        # a child, a grandchild whose parent leaves, a daemon in a session of its own without any
        # of our environment, and one that ignores what can be ignored
        child = subprocess.Popen(["sleep", "1000"])
        orphan = subprocess.run(["sh", "-c", "sleep 1000 >/dev/null & echo $!"], stdout=-1).stdout
        double = subprocess.run(
            ["sh", "-c", "setsid env -i sh -c 'setsid sleep 1000 >/dev/null & echo $!'"], stdout=-1
        ).stdout
        deaf = subprocess.Popen(
            [sys.executable, "-S", "-c", "import signal, time\\n"
             "for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\\n"
             "print('deaf', flush=True); time.sleep(1000)"], stdout=-1
        )
        deaf.stdout.readline()
        pids = [os.getpid(), child.pid, int(orphan), int(double), deaf.pid]
        (job.outputs / "pids").write_text(told(*pids))
        job.progress(0.5, "grown")
        if job.params.get("end") == "result":
            return
        if job.params.get("end") == "crash":
            os.abort()
        if job.params.get("end") == "listen":
            job.sleep(1000)
        time.sleep(1000)
    if os.environ.get("USINA_RUNNER_MODE") and "deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    usina_runner.run(main)
"""


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits(term_seconds=0.2, kill_seconds=0.5)


@pytest.fixture(params=["auto", "off"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """With a pid namespace whose end is everybody's, and without."""
    return Sandbox(request.param)


def tree_of(work: Path) -> list[int]:
    """Who lives of the tree, the program itself first."""
    return processes_of((work / "outputs/pids").read_text())


@pytest.mark.parametrize("end", ["result", "crash"])
async def test_nothing_outlives_the_end_of_a_program(stage: Stage, runner: Make, end: str) -> None:
    act = await stage.play(runner(TREE), {"end": end})
    assert act.failure == {"result": None, "crash": ("runner_failed", "sigabrt")}[end]
    assert tree_of(act.work.path) == []


@pytest.mark.parametrize("end", ["listen", "sleep"])
async def test_nothing_outlives_a_cancel(stage: Stage, runner: Make, end: str) -> None:
    stop = StopSignal()
    told = Recorder(on_progress=lambda stage: stop.request())
    began = time.monotonic()
    act = await stage.play(runner(TREE), {"end": end}, told=told, stop=stop)
    assert act.failure == ("cancelled", None)
    assert time.monotonic() - began < 5
    assert tree_of(act.work.path) == []


async def test_nothing_outlives_a_timeout(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner(TREE), timeout=1)
    assert act.failure == ("timeout", None)
    assert act.outcome.failure is not None
    assert act.outcome.failure.message == "The job ran longer than its 1 s."
    assert tree_of(act.work.path) == []


async def test_a_program_that_listens_ends_before_it_is_forced(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            job.progress(0.1, "begun")
            try:
                job.sleep(1000)
            except usina_runner.Cancelled:
                (job.outputs / "state").write_text("saved")
                job.checkpoint_saved("state")
                raise
        usina_runner.run(main)
        """
    )
    stop = StopSignal()
    act = await stage.play(
        program, told=Recorder(on_progress=lambda stage: stop.request()), stop=stop
    )
    assert act.failure == ("cancelled", None)
    assert act.outcome.exit is not None
    assert act.outcome.exit.code == 1
    assert [name for name, _ in act.told.checkpoints] == ["state"]
    assert act.told.text == ""


async def test_term_is_heard_by_a_program_that_never_reads(stage: Stage, runner: Make) -> None:
    program = runner(
        'trap \'echo heard; exit 4\' TERM; echo \'{"type":"progress","progress":0}\' >&3; '
        "while :; do sleep 0.01; done",
        shell=True,
    )
    stop = StopSignal()
    act = await stage.play(
        program, told=Recorder(on_progress=lambda stage: stop.request()), stop=stop
    )
    assert act.failure == ("cancelled", None)
    # TERM goes to the whole tree: the shell may tell that its sleep was terminated, too
    assert act.told.text.endswith("heard\n")
    assert act.outcome.exit is not None
    assert act.outcome.exit.code == 4


@pytest.mark.parametrize("more", ["", 'mode = "warm"'])
async def test_a_stop_before_the_start_is_a_stop(stage: Stage, runner: Make, more: str) -> None:
    stop = StopSignal()
    stop.request()
    act = await stage.play(
        runner("usina_runner.run(lambda job: job.sleep(60))", more=more), stop=stop
    )
    assert act.failure == ("cancelled", None)


async def test_cancelling_the_call_kills_at_once(stage: Stage, runner: Make) -> None:
    for more in ("", 'mode = "warm"'):
        grown = asyncio.Event()
        work = stage.prepare(program := runner(TREE, more=more))
        told = Recorder(on_progress=lambda stage, grown=grown: grown.set())
        playing = asyncio.create_task(stage.play(program, work=work, told=told))
        await grown.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        assert tree_of(work.path) == []


async def test_a_program_may_not_hang_after_its_answer(
    stage: Stage, runner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.runners.run._EXIT_SECONDS", 0.1)
    act = await stage.play(runner('echo \'{"type":"result"}\' >&3; sleep 60', shell=True))
    assert act.failure == ("runner_failed", "sigkill")


async def test_a_fork_bomb_is_put_out(stage: Stage, runner: Make) -> None:
    """It doubles eleven times and then waits, so that a bug here can not take the machine."""
    bomb = "bomb() { [ $1 -gt 11 ] && exec sleep 60; bomb $(($1+1)) & bomb $(($1+1)) & wait; }"
    act = await stage.play(runner(f"{bomb}; bomb 1", shell=True))
    assert act.failure == ("runner_failed", "too_many_processes")
    assert processes_at(stage.root) == []


async def test_a_killed_launcher_takes_its_tree_along(
    stage: Stage, runner: Make, sandbox: Sandbox
) -> None:
    grown = asyncio.Event()
    work = stage.prepare(program := runner(TREE))
    playing = asyncio.create_task(
        stage.play(program, work=work, told=Recorder(on_progress=lambda stage: grown.set()))
    )
    await grown.wait()
    launcher = parent_of(min(tree_of(work.path)))
    os.kill(launcher, signal.SIGKILL)
    act = await playing
    assert act.failure == ("internal", "launcher_lost")
    # Without a launcher and a namespace, a daemon that shed session, parents and environment is
    # unknown.
    ours = tree_of(work.path)
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    assert len(ours) <= (sandbox.mode == "off")


async def test_a_stopped_launcher_is_not_waited_for(stage: Stage, runner: Make) -> None:
    stop = StopSignal()

    def freeze(data: bytes) -> None:
        (main,) = processes_of(data.decode())
        os.kill(parent_of(main), signal.SIGSTOP)
        stop.request()

    act = await stage.play(
        runner(
            "echo $(stat -Lc %i /proc/self/ns/pid) $$; trap '' TERM; sleep 1000; sleep 1000",
            shell=True,
        ),
        told=Recorder(on_log=freeze),
        stop=stop,
    )
    assert act.failure == ("cancelled", None)
    assert processes_at(stage.root) == []


PLATFORM = """
import asyncio, sys
from pathlib import Path
from tests.runners.stage import Recorder, Stage
from usina.kernel.runners.manifest import load_manifest
from usina.kernel.runners.pool import Sandbox

async def main():
    stage = Stage(Path(sys.argv[1]), sandbox=Sandbox(sys.argv.pop()))
    told = Recorder(on_progress=lambda stage: print(stage, flush=True))
    plays = [stage.play(load_manifest(Path(folder)), told=told) for folder in sys.argv[2:]]
    await asyncio.gather(*plays)

asyncio.run(main())
"""


async def test_nothing_outlives_a_killed_platform(
    tmp_path: Path, runner: Make, sandbox: Sandbox
) -> None:
    root = tmp_path / "work"
    folders = [runner(TREE).folder, runner(TREE, more='mode = "warm"').folder]
    platform = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PLATFORM, str(root), *map(str, folders), sandbox.mode],
        stdout=subprocess.PIPE,
    )
    with platform:
        assert platform.stdout is not None
        assert [platform.stdout.readline() for _ in folders] == [b"grown\n"] * 2
        told = [*root.rglob("job-*/outputs/pids")]
        pids = [pid for path in told for pid in processes_of(path.read_text())]
        launchers = [*map(parent_of, pids)]
        assert len(pids) == 10
        platform.kill()
    await until(lambda: not any(map(alive, pids + launchers)), seconds=1)
    assert len(list(root.iterdir())) == 2
    clear_leftovers(root)
    assert list(root.iterdir()) == []


def test_leftovers_of_a_dead_platform_are_killed_before_their_folders_go(tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "job-1").mkdir(parents=True)
    stray = subprocess.Popen(["sleep", "1000"], env={"HOME": f"{root}/job-1"})
    stranger = subprocess.Popen(["sleep", "1000"], env={"HOME": f"{tmp_path}/workshop"})
    clear_leftovers(root)
    assert stray.wait(5) == -signal.SIGKILL
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(5)
    assert list(root.iterdir()) == []
