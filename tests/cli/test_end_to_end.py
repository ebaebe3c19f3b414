"""The command line against the real platform."""

import io
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.cli.conftest import Outcome
from usina.faces.cli import background
from usina.faces.cli.main import main
from usina_client import Client

USINA = [sys.executable, "-m", "usina.faces.cli.main"]
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass
class Shell:
    """Commands in one folder, with one data folder."""

    folder: Path
    data: Path
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("USINA_")}
        return inherited | {"USINA_DATA": str(self.data), "USINA_PORT": "0"} | self.environment

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*USINA, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.variables(),
        )

    def run_apart(self, *arguments: object) -> Outcome:
        """In a process of its own: needed where a platform is started in the background."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return Outcome(process.returncode, out, err)

    def run(self, *arguments: object) -> Outcome:
        """In this process, which spares the start of another."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.variables(), clear=True),
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = main([str(argument) for argument in arguments])
        return Outcome(code, out.getvalue(), err.getvalue())

    def credentials(self) -> dict[str, Any]:
        return json.loads((self.data / "credentials.json").read_text())

    def platform_pid(self) -> int:
        return int((self.data / "lock").read_text())


@contextmanager
def stopped_at_the_end(shell: Shell) -> Iterator[Shell]:
    """Ends the platform that the commands have left in the background."""
    try:
        yield shell
    finally:
        pid = shell.platform_pid()
        watch = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
        await_end(watch)


def await_end(watch: int) -> None:
    """Until the process of the descriptor is gone."""
    readable, _, _ = select.select([watch], [], [], 30)
    os.close(watch)
    assert readable, "the platform did not end"


@contextmanager
def up(shell: Shell, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """`usina up`, ready; ended by TERM."""
    process = shell.start("up", *arguments)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("ready http://"), process.stderr and process.stderr.read()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with a platform that is up."""
    shared = Shell(tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("data"))
    with up(shared):
        yield shared


@pytest.fixture
def fresh(tmp_path: Path) -> Shell:
    """A folder without one."""
    (tmp_path / "folder").mkdir()
    return Shell(tmp_path / "folder", tmp_path / "data")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_up_says_only_that_it_is_ready_and_ends_in_order(
    fresh: Shell, ending: signal.Signals
) -> None:
    process = fresh.start("up")
    assert process.stdout
    ready = process.stdout.readline()

    credentials = fresh.credentials()
    assert ready == f"ready {credentials['url']}\n"
    assert {"url", "grpc_url", "api_key", "email", "password"} <= set(credentials)
    assert stat.S_IMODE((fresh.data / "credentials.json").stat().st_mode) == 0o600
    with Client(credentials["url"], credentials["api_key"]) as client:
        assert client.ready().ready

    process.send_signal(ending)
    rest, _ = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, "")


def test_a_port_in_use_is_named(fresh: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = fresh.run_apart("up", "--port", port)

    assert (done.code, done.out) == (1, "")
    assert str(port) in done.err
    assert "Traceback" not in done.err


def test_a_folder_in_use_names_its_process(shell: Shell) -> None:
    done = shell.run("up")

    assert (done.code, done.out) == (1, "")
    assert str(shell.platform_pid()) in done.err


def test_a_platform_without_work_may_leave_by_itself(fresh: Shell) -> None:
    process = fresh.start("up", "--idle-exit", "0.5")

    out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert out.startswith("ready ")


def test_a_later_start_keeps_the_key(fresh: Shell) -> None:
    with up(fresh):
        first = fresh.credentials()
    with up(fresh):
        second = fresh.credentials()

    assert (second["api_key"], second["password"]) == (first["api_key"], first["password"])


def test_a_run_leaves_its_artifacts(shell: Shell) -> None:
    done = shell.run("run", "echo-v1", "-p", "artifacts=2", "-p", "artifact_bytes=1000")

    assert done.code == 0, done.err
    paths = done.out.splitlines()
    assert {Path(path).name for path in paths} >= {
        "report.json",
        "artifact-1.bin",
        "artifact-2.bin",
    }
    assert all(re.fullmatch(rf"echo-v1-{UUID}/[\w.-]+", path) for path in paths)
    assert (shell.folder / paths[0]).parent.joinpath("artifact-2.bin").stat().st_size == 1000


def test_a_run_with_json(shell: Shell) -> None:
    done = shell.run("run", "echo-v1", "-p", "seconds=0.1", "--out", "made", "--json")

    told = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert (told["status"], told["progress"]) == ("SUCCEEDED", 1)
    assert "made/report.json" in told["files"]
    report = json.loads((shell.folder / "made" / "report.json").read_text())
    assert report["params"]["seconds"] == 0.1


def test_a_failed_run_ends_with_3_and_shows_the_log(shell: Shell) -> None:
    done = shell.run("run", "echo-v1", "-p", "fail=invalid_input", "-p", "log_lines=50")

    assert (done.code, done.out) == (3, "")
    assert "invalid_input" in done.err
    assert "The end of its log:" in done.err


def test_a_run_that_takes_too_long_goes_on_without_us(shell: Shell) -> None:
    done = shell.run("run", "echo-v1", "-p", "seconds=1", "--timeout", "0.2")

    assert (done.code, done.out) == (6, "")
    come_back = re.search(rf"usina (jobs watch {UUID} --out \S+)", done.err)
    assert come_back
    again = shell.run(*come_back[1].split())
    assert again.code == 0
    assert again.out.splitlines()[0].startswith("echo-v1-")


def test_ctrl_c_detaches_and_the_job_goes_on(shell: Shell) -> None:
    process = shell.start("run", "echo-v1", "-p", "seconds=1.5", "-p", "progress_steps=5")
    assert process.stderr
    for line in process.stderr:
        if "running" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    job_id = re.findall(UUID, err)[0]
    assert shell.run("jobs", "watch", job_id).code == 0
    assert json.loads(shell.run("jobs", "get", job_id, "--json").out)["status"] == "SUCCEEDED"


def test_a_cancelled_job_ends_its_watch_with_3(shell: Shell) -> None:
    job_id = shell.run("run", "echo-v1", "-p", "seconds=60", "--no-wait").out.strip()
    watch = shell.start("jobs", "watch", job_id)
    assert shell.run("jobs", "cancel", job_id).out.strip() == job_id

    _, err = watch.communicate(timeout=30)

    assert watch.returncode == 3
    assert "CANCELLED" in err
    assert shell.run("jobs", "retry", job_id).code == 0
    assert shell.run("jobs", "cancel", job_id).code == 0


def test_every_event_of_a_job_is_told_without_a_gap(shell: Shell) -> None:
    job_id = shell.run("run", "echo-v1", "-p", "artifacts=1", "--no-wait").out.strip()

    done = shell.run("jobs", "watch", job_id, "--events")

    events = [json.loads(line) for line in done.out.splitlines()]
    seqs = [event["seq"] for event in events if event["seq"] is not None]
    assert seqs == list(range(1, len(seqs) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("job.queued", "job.succeeded")


def test_logs_are_the_programs_words(shell: Shell) -> None:
    arguments = ("run", "echo-v1", "-p", "log_lines=5", "-p", "seconds=0.5", "--no-wait")
    job_id = shell.run(*arguments).out.strip()

    followed = shell.run("jobs", "logs", job_id, "--follow")

    assert followed.code == 0
    assert len(followed.out.splitlines()) >= 5
    assert shell.run("jobs", "logs", job_id).out == followed.out


def test_files_come_back_as_they_went(shell: Shell) -> None:
    content = os.urandom(3 * 1024 * 1024)
    (shell.folder / "large.bin").write_bytes(content)

    file_id = shell.run("files", "put", "large.bin").out.strip()
    done = shell.run("files", "get", file_id, "--out", "again.bin")

    assert done.out == "again.bin\n"
    assert (shell.folder / "again.bin").read_bytes() == content


def test_refusals_have_their_exit_codes(shell: Shell) -> None:
    nobody = "0190aaaa-0000-7000-8000-000000000001"
    url = shell.credentials()["url"]
    stranger = Shell(shell.folder, shell.data, {"USINA_URL": url, "USINA_API_KEY": "wrong"})

    assert shell.run("jobs", "get", nobody).code == 5
    assert shell.run("run", "no-such-model").code == 5
    assert shell.run("run", "echo-v1", "-p", "seconds=-1").code == 1
    assert shell.run("run", "echo-v1", "-p", "second=1").code == 2
    assert shell.run("jobs", "list", "--status", "ASLEEP").code == 1
    assert stranger.run("jobs", "list").code == 4
    told = json.loads(shell.run("jobs", "get", nobody, "--json").err)
    assert (told["status"], told["code"]) == (404, "not_found")


def test_the_administrators_commands_work_beside_a_platform(shell: Shell) -> None:
    made = shell.run("admin", "organization", "create", "ACME")
    acme = Shell(
        shell.folder,
        shell.data,
        {"USINA_URL": shell.credentials()["url"], "USINA_API_KEY": made.out.strip()},
    )

    assert made.code == 0
    assert json.loads(acme.run("jobs", "list", "--json").out) == []
    assert shell.run("db", "upgrade").code == 0
    first = json.loads(shell.run("seed", "--json").out)
    assert json.loads(shell.run("seed", "--json").out) == first | {"changes": []}


def test_the_doctor_is_content_with_the_platform(shell: Shell) -> None:
    done = shell.run("doctor", "--json")

    told = json.loads(done.out)
    assert done.code == 0
    assert {check["area"] for check in told["checks"]} >= {"platform", "sandbox", "model"}
    assert told["settings"]["USINA_DATA"] == str(shell.data)
    assert "fix" in shell.run("doctor").out


def test_two_runs_at_once_start_one_platform(fresh: Shell) -> None:
    processes = [fresh.start("run", "echo-v1", "--json") for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in processes]

    with stopped_at_the_end(fresh):
        assert [process.returncode for process in processes] == [0, 0], ends
        jobs = {json.loads(out)["id"] for out, _ in ends}
        listed = json.loads(fresh.run_apart("jobs", "list", "--json").out)
        assert {job["id"] for job in listed} == jobs
        assert os.getsid(fresh.platform_pid()) == fresh.platform_pid()  # no terminal of ours
        assert (fresh.data / "logs" / "platform.log").exists()


def await_lock(lock: Path, platform: subprocess.Popen[str]) -> None:
    """Until the starting platform holds its data folder."""
    while not (lock.exists() and lock.read_text().strip() == str(platform.pid)):
        assert platform.poll() is None, "the platform ended"
        time.sleep(0.01)


def test_a_platform_that_is_about_to_be_ready_is_waited_for(fresh: Shell) -> None:
    platform = fresh.start("up")
    await_lock(fresh.data / "lock", platform)

    done = fresh.run_apart("run", "echo-v1")

    platform.terminate()
    platform.communicate(timeout=30)
    assert done.code == 0, done.err
    assert platform.returncode == 0


def test_a_taken_port_is_left_to_its_owner(fresh: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fresh.environment["USINA_PORT"] = str(taken.getsockname()[1])

        done = fresh.run_apart("models", "--json")

    with stopped_at_the_end(fresh):
        assert done.code == 0, done.err
        assert not fresh.credentials()["url"].endswith(f":{fresh.environment['USINA_PORT']}")


@pytest.mark.parametrize("variable", ["USINA_PORT", "USINA_GRPC_PORT"])
def test_a_port_that_is_taken_since_it_was_looked_at_is_left_to_its_owner(
    fresh: Shell, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def launched(*arguments: Any) -> "subprocess.Popen[bytes]":
        children.append(launch(*arguments))
        return children[-1]

    launch = background.launch
    monkeypatch.setattr(background, "launch", launched)
    monkeypatch.setattr(background, "_free", lambda settings, port: port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fresh.environment[variable] = str(taken.getsockname()[1])

        done = fresh.run("models", "--json")

        with stopped_at_the_end(fresh):
            assert done.code == 0, done.err
            assert not fresh.credentials()["url"].endswith(f":{fresh.environment[variable]}")
    [platform] = children
    assert platform.wait(30) == 0


def test_a_killed_platform_is_followed_by_another(fresh: Shell) -> None:
    job_id = fresh.run_apart("run", "echo-v1", "-p", "seconds=0.5", "--no-wait").out.strip()
    first = fresh.platform_pid()
    watch = os.pidfd_open(first)
    os.kill(first, signal.SIGKILL)
    await_end(watch)

    done = fresh.run_apart("jobs", "watch", job_id)

    with stopped_at_the_end(fresh):
        assert done.code == 0, done.err
        assert fresh.platform_pid() != first


def test_a_platform_that_cannot_start_says_why(fresh: Shell) -> None:
    fresh.data.mkdir()
    (fresh.data / "usina.sqlite").write_bytes(b"this is no database" * 1000)

    done = fresh.run_apart("models")

    assert (done.code, done.out) == (7, "")
    assert "could not be started" in done.err
    assert str(fresh.data / "logs" / "platform.log") in done.err
