"""Programs that stay: loaded once, reused for the same owner, let go in time."""

import asyncio
import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runners.stage import Act, Recorder, Stage, alive, processes_of, until
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits, StopSignal

Make = Callable[..., Manifest]
WARM = 'mode = "warm"'
SHARED = 'mode = "warm"\nshared = true'

WHO = """
    def load():
        print("loading", flush=True)
        return told()
    def main(job, loaded):
        assert os.getcwd() == str(job.outputs.parent)
        (job.outputs / "pid").write_text(loaded)
        what = job.params.get("do")
        if what == "crash":
            os.abort()
        if what == "fail":
            raise usina_runner.Failure("invalid_input", "asked", "As asked.")
        if what == "sleep":
            job.progress(0.1, "sleeping")
            job.sleep(1000)
        if what == "hang":
            job.progress(0.1, "hanging")
            time.sleep(1000)
        if what == "speak":
            os.write(3, b'{"type":"result"}\\n{"type":"result"}\\n')
    usina_runner.run(main, load=load)
"""


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits(term_seconds=0.3, kill_seconds=0.6, warm_count=2, warm_jobs=4)


async def pid_of(stage: Stage, program: Manifest, do: str = "", owner: str = "one") -> int:
    act = await stage.play(program, {"do": do}, organization_id=owner)
    assert act.failure is None
    return pid_told(act)


def pid_told(act: Act) -> int:
    """The program's pid out here; it waits for its next job."""
    (pid,) = processes_of(act.left("pid"))
    return pid


async def test_a_program_is_loaded_once_and_reused(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    first = await stage.play(program)
    pid = pid_told(first)
    second = await stage.play(program)
    assert pid_told(second) == pid
    assert (first.told.text, second.told.text) == ("loading\n", "")
    assert first.outcome.exit is None
    assert stage.pool.warm() == {(program.name, "one")}


async def test_a_failed_job_leaves_the_program_warm(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pid = await pid_of(stage, program)
    assert (await stage.play(program, {"do": "fail"})).failure == ("invalid_input", "asked")
    assert await pid_of(stage, program) == pid


async def test_an_organization_that_is_forgotten_leaves_no_memory(
    stage: Stage, runner: Make
) -> None:
    program = runner(WHO, more=WARM)
    mine, other = await pid_of(stage, program), await pid_of(stage, program, owner="two")

    stage.pool.forget("one")

    await until(lambda: not alive(mine))
    assert alive(other)
    assert await pid_of(stage, program) != mine


async def test_organizations_share_only_what_says_so(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    assert await pid_of(stage, program, owner="one") != await pid_of(stage, program, owner="two")
    shared = runner(WHO, more=SHARED)
    assert await pid_of(stage, shared, owner="one") == await pid_of(stage, shared, owner="two")


async def test_jobs_at_once_have_a_program_each(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pids = await asyncio.gather(*(pid_of(stage, program) for _ in range(2)))
    assert len(set(pids)) == 2
    again = await asyncio.gather(*(pid_of(stage, program) for _ in range(2)))
    assert set(again) == set(pids)


async def test_a_crash_costs_its_one_job(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pid = await pid_of(stage, program)
    act = await stage.play(program, {"do": "crash"})
    assert act.failure == ("runner_failed", "sigabrt")
    assert not alive(pid)
    assert await pid_of(stage, program) != pid


async def test_a_crash_between_jobs_costs_none(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pid = await pid_of(stage, program)
    os.kill(pid, signal.SIGKILL)
    assert await pid_of(stage, program) != pid
    other = runner(WHO, more=WARM)
    os.kill(await pid_of(stage, other), signal.SIGKILL)
    await until(lambda: (other.name, "one") not in stage.pool.warm())


RAW = """
    import select
    def say(kind):
        os.write(3, json.dumps({"type": kind}).encode() + b"\\n")
    def do():
        work = json.loads(os.read(4, 65536))["work"]
        with open(work + "/outputs/pid", "w") as file:
            file.write(told())
        say("result")
        return work
    say("ready")
    first = do()
    select.select([4], [], [])
"""


async def test_a_death_before_the_job_is_read_costs_none(stage: Stage, runner: Make) -> None:
    program = runner(textwrap.dedent(RAW) + "os._exit(3)\n", more=WARM)
    pid = await pid_of(stage, program)
    assert await pid_of(stage, program) != pid


async def test_an_answer_before_the_job_is_read_is_not_its_answer(
    stage: Stage, runner: Make
) -> None:
    late = """
    say("result")
    print("said", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.001)
    do()
    os.read(4, 65536)
    """
    program = runner(textwrap.dedent(RAW) + textwrap.dedent(late), more=WARM)
    first = await stage.play(program)
    pid = pid_told(first)
    (home,) = stage.root.glob("warm-*")
    loop = asyncio.get_running_loop()
    second = await stage.play(program, told=Recorder(on_log=lambda data: allow(loop, home / "go")))
    assert second.failure is None
    assert second.left("pid") == first.left("pid")
    assert await pid_of(stage, program) != pid


def allow(loop: asyncio.AbstractEventLoop, go: Path) -> None:
    """Lets the program go on once all that it has said so far is read."""
    loop.call_soon(go.touch)


@pytest.mark.parametrize(("do", "stays"), [("sleep", True), ("hang", False)])
async def test_a_program_that_heeds_a_cancel_stays(
    stage: Stage, runner: Make, do: str, stays: bool
) -> None:
    program = runner(WHO, more=WARM)
    pid = await pid_of(stage, program)
    stop = StopSignal()
    told = Recorder(on_progress=lambda stage: stop.request())
    act = await stage.play(program, {"do": do}, told=told, stop=stop)
    assert act.failure == ("cancelled", None)
    assert alive(pid) is stays
    assert (await pid_of(stage, program) == pid) is stays


async def test_a_program_that_heeds_its_deadline_stays(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pid = await pid_of(stage, program)
    act = await stage.play(program, {"do": "sleep"}, timeout=0.1)
    assert act.failure == ("timeout", None)
    assert await pid_of(stage, program) == pid


async def test_an_answer_too_many_is_never_the_next_jobs(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=SHARED)
    await stage.play(program, {"do": "speak"})
    assert (await stage.play(program)).told.text == "loading\n"


async def test_output_between_jobs_is_nobodys(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        import threading
        home = os.getcwd()
        def later():
            print("secret", flush=True)
            open(home + "/said", "w").close()
        def main(job):
            if job.params.get("later"):
                threading.Timer(0.1, later).start()
            (job.outputs / "pid").write_text(told())
        usina_runner.run(main)
        """,
        more=SHARED,
    )
    first = await stage.play(program, {"later": True}, organization_id="one")
    pid = pid_told(first)
    await until(lambda: any(stage.root.glob("warm-*/said")))
    second = await stage.play(program, organization_id="two")
    assert pid_told(second) == pid
    assert second.told.text == ""


async def test_a_program_is_let_go_after_so_many_jobs(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    pids = [await pid_of(stage, program) for _ in range(5)]
    assert len(set(pids[:4])) == 1
    assert pids[4] != pids[0]
    await until(lambda: not alive(pids[0]))


async def test_of_too_many_the_longest_waiting_leaves(stage: Stage, runner: Make) -> None:
    programs = [runner(WHO, more=WARM) for _ in range(3)]
    pids = [await pid_of(stage, program) for program in programs]
    await until(lambda: not alive(pids[0]))
    assert all(map(alive, pids[1:]))
    assert {name for name, _ in stage.pool.warm()} == {p.name for p in programs[1:]}


class TestIdle:
    @pytest.fixture
    def limits(self) -> RunnerLimits:
        return RunnerLimits(warm_idle_seconds=0.2)

    async def test_a_program_that_is_not_needed_leaves(self, stage: Stage, runner: Make) -> None:
        program = runner(WHO, more=WARM)
        pid = await pid_of(stage, program)
        await until(lambda: not alive(pid))
        assert stage.pool.warm() == frozenset()
        await until(lambda: not list(stage.root.glob("warm-*")))
        assert await pid_of(stage, program) != pid


class TestNone:
    @pytest.fixture
    def limits(self) -> RunnerLimits:
        return RunnerLimits(warm_count=0)

    async def test_warm_programs_may_be_unwanted(self, stage: Stage, runner: Make) -> None:
        program = runner(WHO, more=WARM)
        assert await pid_of(stage, program) != await pid_of(stage, program)


async def test_temporary_files_go_with_their_job(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        import tempfile
        def main(job):
            home = tempfile.gettempdir()
            assert home == os.environ["HOME"] == os.getcwd(), home
            tempfile.NamedTemporaryFile(delete=False).close()
        usina_runner.run(main)
        """,
        more=WARM,
    )
    for _ in range(2):
        act = await stage.play(program)
        assert act.failure is None
        act.work.remove()
        assert not act.work.path.exists()


async def test_a_shell_script_can_be_warm(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        echo '{"type":"ready"}' >&3
        while read -r line <&4; do
            case "$line" in
                *'"run"'*)
                    cd "$(echo "$line" | sed 's/.*"work":"//; s/".*//')"
                    echo $(stat -Lc %i /proc/self/ns/pid) $$ >outputs/pid
                    echo '{"type":"result"}' >&3 ;;
                *) exit 0 ;;
            esac
        done
        """,
        shell=True,
        more=WARM,
    )
    assert await pid_of(stage, program) == await pid_of(stage, program)


async def test_closing_ends_what_works_and_what_waits(stage: Stage, runner: Make) -> None:
    program = runner(WHO, more=WARM)
    waiting = await pid_of(stage, program, owner="two")
    begun = asyncio.Event()
    told = Recorder(on_progress=lambda stage: begun.set())
    playing = asyncio.create_task(stage.play(program, {"do": "hang"}, told=told))
    await begun.wait()
    await stage.pool.close()
    act = await playing
    assert act.failure == ("runner_failed", "sigkill")
    assert not alive(waiting)
