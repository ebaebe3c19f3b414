"""One process per job: how it succeeds, and every way in which it does not."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runners.stage import Recorder, Stage, left_of_us, processes_at
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits
from usina.kernel.runners.work import BadOutput

Make = Callable[..., Manifest]

SHELL = """
    echo '{"type": "progress", "progress": 0.5, "stage": "half"}' >&3
    echo "on the way"
    cat job.json >/dev/null
    wc -c <job.json >outputs/size.txt
    echo '{"type": "artifact", "path": "outputs/size.txt", "kind": "data"}' >&3
    echo '{"type": "metric", "name": "answer", "value": 42}' >&3
    echo '{"type": "result"}' >&3
"""


async def test_a_plain_shell_script_is_a_runner(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner(SHELL, shell=True))
    assert act.failure is None
    assert act.told.steps == [(0.5, "half")]
    assert act.told.text == "on the way\n"
    assert act.outcome.metrics == {"answer": 42}
    assert act.outputs()["size.txt"].size > 1
    assert act.outcome.exit is not None
    assert (act.outcome.exit.code, act.outcome.exit.signal) == (0, None)
    assert (act.outcome.peak_memory_bytes or 0) > 500_000


async def test_a_shell_script_hears_of_a_cancel(stage: Stage, runner: Make) -> None:
    program = runner('read line <&4; echo "$line"; exit 3', shell=True)
    act = await stage.play(program, timeout=0.2)
    assert act.failure == ("timeout", None)
    assert act.told.text == '{"type":"cancel"}\n'


async def test_a_python_program_tells_all_there_is_to_tell(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            with job.stage("first", upto=0.25):
                job.log("info", "begun")
            job.progress(0.5, "second")
            (job.outputs / "deep").mkdir()
            (job.outputs / "deep" / "a.bin").write_bytes(b"abc")
            (job.outputs / "state").write_text("1")
            job.checkpoint_saved("state")
            job.artifact("deep/a.bin", "data")
            job.artifact(job.outputs / "state", "log", name="other name.txt")
            job.metric("error", 0.25)
            job.metric("error", float("nan"))
            job.metric("solver", "cg")
            job.report({"params_seen": job.params, "cores": job.cores, "nan": float("nan")})
        usina_runner.run(main)
        """,
        more="""
        [outputs."report.json"]
        kind = "report"
        """,
    )
    act = await stage.play(program, {"a": [1, "ü"]})
    assert act.failure is None
    assert list(dict(act.told.steps).values())[-1] == "second"
    assert {stage for _, stage in act.told.steps} == {"first", "second"}
    assert act.told.text == "[info] begun\n"
    assert act.outcome.metrics == {"error": 0.25, "solver": "cg"}
    assert [name for name, _ in act.told.checkpoints] == ["state"]
    found = {name: (output.kind, output.size) for name, output in act.outputs().items()}
    assert found["a.bin"] == ("data", 3)
    assert found["other name.txt"] == ("log", 1)
    assert found["report.json"][0] == "report"
    report = act.left("report.json")
    assert '"params": {"a": [1, "\\u00fc"]}' in report
    assert '"nan": null' in report


FAILURES: dict[str, tuple[str, tuple[str, str | None], str]] = {
    "typed": (
        "raise usina_runner.InvalidInput('image_too_large', 'Too many pixels.')",
        ("invalid_input", "image_too_large"),
        "Too many pixels.",
    ),
    "not retried": (
        "raise usina_runner.Failure('runner_failed', 'diverged', 'It diverged.', retryable=False)",
        ("runner_failed", "diverged"),
        "It diverged.",
    ),
    "exception": (
        "open('/etc/no/such/file.txt')",
        ("runner_failed", "file_not_found_error"),
        "[Errno 2] No such file or directory: 'file.txt'",
    ),
    "memory error": (
        "raise MemoryError",
        ("out_of_memory", None),
        "The program could not get the memory it needed.",
    ),
    "no result": ("os._exit(0)", ("runner_failed", "no_result"), "The program ended without a"),
    "system exit": ("sys.exit(0)", ("runner_failed", "no_result"), "The program ended without a"),
    "exit code": (
        "print('a'); print('see /srv/secret/model.bin', flush=True); os._exit(7)",
        ("runner_failed", "exit_code"),
        "The program ended with exit code 7. It last wrote: a | see model.bin",
    ),
    "segmentation fault": (
        "os.kill(os.getpid(), signal.SIGSEGV)",
        ("runner_failed", "sigsegv"),
        "The program was ended by SIGSEGV.",
    ),
    "kill": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        ("runner_failed", "sigkill"),
        "The program was ended by SIGKILL.",
    ),
    "term": (
        "os.kill(os.getpid(), signal.SIGTERM); job.check_cancelled()",
        ("runner_failed", "interrupted"),
        "The program stopped when it was told to.",
    ),
    "result and then exit 1": (
        'os.write(3, b\'{"type":"result"}\\n\'); os._exit(1)',
        ("runner_failed", "exit_code"),
        "The program ended with exit code 1.",
    ),
    "error and then exit 0": (
        'os.write(3, b\'{"type":"error","code":"internal"}\\n\'); os._exit(0)',
        ("internal", None),
        "The program gave no reason.",
    ),
}


@pytest.mark.parametrize("how", FAILURES)
async def test_why_it_failed_is_kept(stage: Stage, runner: Make, how: str) -> None:
    act_text, failure, message = FAILURES[how]
    act = await stage.play(runner(f"def main(job):\n    {act_text}\nusina_runner.run(main)\n"))
    assert act.failure == failure
    assert act.outcome.failure is not None
    assert act.outcome.failure.message.startswith(message)
    assert act.outcome.failure.retryable is (False if how == "not retried" else None)


CRASHES = {
    "at the start": "os.abort()",
    "while loading": "usina_runner.run(lambda job, loaded: None, load=os.abort)",
    "at once": "usina_runner.run(lambda job: os.abort())",
    "at work": """
        def main(job):
            job.progress(0.5, "working")
            subprocess.Popen(["sleep", "1000"])
            os.abort()
        usina_runner.run(main)
        """,
    "in a thread": """
        import threading
        def main(job):
            threading.Thread(target=os.abort).start()
            time.sleep(60)
        usina_runner.run(main)
        """,
    "with half a result": """
        def main(job):
            (job.outputs / "half").write_text("x")
            job.artifact("half", "data")
            os.write(3, b'{"type":"resu')
            os.abort()
        usina_runner.run(main)
        """,
}


@pytest.mark.parametrize("mode", ["cold", "warm"])
@pytest.mark.parametrize("when", CRASHES)
async def test_a_crash_is_told_by_its_signal_whenever_it_comes(
    stage: Stage, runner: Make, when: str, mode: str
) -> None:
    act = await stage.play(runner(CRASHES[when], more=f'mode = "{mode}"'))
    assert act.failure == ("runner_failed", "sigabrt")
    assert processes_at(stage.root) == []


async def test_a_crash_after_the_result_is_no_success(stage: Stage, runner: Make) -> None:
    program = runner("import atexit; atexit.register(os.abort)\nusina_runner.run(print)")
    act = await stage.play(program)
    assert act.failure == ("runner_failed", "sigabrt")


HOSTILE = {
    "link": "os.symlink('/etc/passwd', 'outputs/it')",
    "link to another job": "os.symlink(job.params['other'], 'outputs/it')",
    "link on the way": "os.symlink('/etc', 'outputs/way'); it = 'way/passwd'",
    "hard link": "open('kept', 'w').close(); os.link('kept', 'outputs/it')",
    "fifo": "os.mkfifo('outputs/it')",
    "socket": "import socket; socket.socket(socket.AF_UNIX).bind('outputs/it')",
    "folder": "os.mkdir('outputs/it')",
    "outside": "it = '../job.json'",
    "far outside": "it = '../' * 20 + 'etc/passwd'",
    "absolute": "it = '/etc/passwd'",
    "nothing": "pass",
    "no outputs": "os.rmdir('outputs'); os.symlink('/etc', 'outputs'); it = 'passwd'",
    "no work": "shutil.rmtree(os.getcwd(), ignore_errors=True)",
}


@pytest.mark.parametrize("mode", ["cold", "warm"])
@pytest.mark.parametrize("what", HOSTILE)
async def test_what_is_no_result_is_not_taken(
    stage: Stage, runner: Make, what: str, mode: str
) -> None:
    program = runner(
        f"""
        import shutil
        def main(job):
            it = "it"
            {HOSTILE[what]}
            line = {{"type": "artifact", "path": "outputs/" + it, "name": "it", "kind": "data"}}
            os.write(3, json.dumps(line).encode() + b"\\n")
        usina_runner.run(main)
        """,
        more=f'mode = "{mode}"',
    )
    other = stage.prepare(program).path / "job.json"
    act = await stage.play(program, {"other": str(other)})
    assert act.failure is None, act.told.text
    with pytest.raises(BadOutput) as caught:
        act.outputs()
    assert caught.value.reason == "bad_artifact"
    act.work.remove()
    assert not act.work.path.exists()


async def test_a_device_can_not_even_be_made(stage: Stage, runner: Make) -> None:
    act = await stage.play(
        runner(
            """
            def main(job):
                for kind in (0o020666, 0o060666):
                    print(attempt(lambda: os.mknod("outputs/it", kind, os.makedev(1, 5))))
            usina_runner.run(main)
            """
        )
    )
    assert [line[:9] for line in act.told.text.splitlines()] == ["refused: "] * 2


@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_many_jobs_leave_nothing(stage: Stage, runner: Make, mode: str) -> None:
    """The benchmark does it with a thousand."""
    program = runner(
        "usina_runner.run(lambda job: subprocess.Popen(['sleep', '1000']) and None)",
        more=f'mode = "{mode}"',
    )
    await stage.play(program)
    before = left_of_us()
    for _ in range(40):
        act = await stage.play(program)
        assert act.failure is None
        act.work.remove()
    if mode == "cold":
        assert processes_at(stage.root) == []
    assert left_of_us() == before


async def test_a_traceback_is_in_the_log_and_not_in_the_message(stage: Stage, runner: Make) -> None:
    act = await stage.play(runner("def main(job):\n    job.nothing\nusina_runner.run(main)\n"))
    assert "Traceback (most recent call last)" in act.told.text
    assert act.outcome.log_tail.rstrip().endswith(
        "AttributeError: 'Job' object has no attribute 'nothing'"
    )
    assert act.outcome.failure is not None
    assert "Traceback" not in act.outcome.failure.message


async def test_a_failure_while_loading_is_the_jobs_failure(stage: Stage, runner: Make) -> None:
    program = """
        def load():
            raise usina_runner.Failure("unavailable", "model_not_installed", "No weights.")
        usina_runner.run(lambda job, loaded: None, load=load)
        """
    for more in ("", 'mode = "warm"'):
        act = await stage.play(runner(program, more=more))
        assert act.failure == ("unavailable", "model_not_installed")
        assert stage.pool.warm() == frozenset()


async def test_a_program_that_is_not_there_is_not_installed(stage: Stage, runner: Make) -> None:
    program = runner("exit 0", shell=True)
    gone = program.model_copy(update={"command": ("no-such-program-anywhere",)})
    act = await stage.play(gone)
    assert act.failure == ("unavailable", "model_not_installed")


async def test_a_program_that_can_not_start_says_why(
    stage: Stage, runner: Make, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    program = runner("exit 0", shell=True).model_copy(update={"command": (str(broken),)})
    act = await stage.play(program)
    assert act.failure == ("unavailable", "model_not_installed")
    assert act.outcome.failure is not None
    assert "No such file or directory" in act.outcome.failure.message
    assert str(tmp_path) not in act.outcome.failure.message


async def test_stdin_is_empty_and_no_other_descriptor_is_open(stage: Stage, runner: Make) -> None:
    program = runner(
        """
        def main(job):
            assert sys.stdin.read() == ""
            held = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
            (job.outputs / "held").write_text(str(held[:-1]))
        usina_runner.run(main)
        """
    )
    act = await stage.play(program)
    assert act.failure is None
    assert act.left("held") == "[0, 1, 2, 3, 4]"


async def test_signals_are_as_a_program_expects_them(stage: Stage, runner: Make) -> None:
    program = runner(
        "grep -E 'Sig(Ign|Blk)' /proc/self/status; echo '{\"type\":\"result\"}' >&3", shell=True
    )
    act = await stage.play(program)
    assert act.failure is None
    _, blocked, _, ignored = act.told.text.split()
    ordinary = 0x7FFF_FFFF  # 1 to 31; the C library keeps 32 and 33 to itself
    assert (int(blocked, 16) & ordinary, int(ignored, 16) & ordinary) == (0, 0)


async def test_a_listener_that_breaks_fails_the_job_and_no_more(stage: Stage, runner: Make) -> None:
    def refuse(stage: str | None) -> None:
        raise OSError(28, "No space left on device")

    program = runner(
        """
        def main(job):
            job.progress(0.1, "a")
            job.sleep(60)
        usina_runner.run(main)
        """
    )
    act = await stage.play(program, told=Recorder(on_progress=refuse))
    assert act.failure == ("internal", None)


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits(file_bytes=1_000_000, open_files=64)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("open('outputs/big', 'wb').write(bytes(2_000_000))", "os_error"),
        ("held = [open('/dev/null') for _ in range(100)]", "os_error"),
        (
            "signal.signal(25, 0); f = open('x', 'wb', 0); [f.write(bytes(10**6)) for _ in 'ab']",
            "sigxfsz",
        ),
    ],
)
async def test_limits_of_the_system_are_set(
    stage: Stage, runner: Make, how: str, reason: str
) -> None:
    act = await stage.play(runner(f"def main(job):\n    {how}\nusina_runner.run(main)\n"))
    assert act.failure == ("runner_failed", reason)


async def test_no_core_is_dumped_and_the_kernel_prefers_to_kill_it(
    stage: Stage, runner: Make
) -> None:
    program = runner(
        'ulimit -c; cat /proc/self/oom_score_adj; umask; echo \'{"type":"result"}\' >&3', shell=True
    )
    act = await stage.play(program)
    assert act.told.text.split() == ["0", "500", "0077"]


def test_every_signal_has_a_name() -> None:
    assert signal.Signals(25).name == "SIGXFSZ"
