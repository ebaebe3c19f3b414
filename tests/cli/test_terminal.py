"""The command line as a process: on a terminal, in a pipe, interrupted; and its start."""

import codecs
import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_command import ENTRY, JOB, story
from tests.client.fake import (
    JOB_ID,
    FakePlatform,
    answer,
    artifact,
    event,
    file,
    job,
    page,
    ranged,
    sse,
)

USINA = [sys.executable, "-m", "usina.faces.cli.main"]


@pytest.fixture
def runs(platform: FakePlatform, tmp_path: Path) -> FakePlatform:
    (tmp_path / "chair.png").write_bytes(b"png")
    platform.on("GET /api/v1/models/inflate-v1", answer(ENTRY))
    platform.on("POST /api/v1/jobs", answer(job(model="inflate-v1"), 202))
    platform.on(JOB, answer(job()), answer(job("SUCCEEDED", artifacts=[artifact(b"glTF")])))
    platform.on(f"{JOB}/events", sse(*story("job.succeeded")))
    platform.on("GET /api/v1/artifacts/a1/content", ranged(b"glTF"))
    return platform


@contextmanager
def on_terminal(folder: Path, *arguments: str, **environment: str) -> Iterator["Terminal"]:
    """The command with stdin, stdout and stderr on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*USINA, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"} | environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Terminal:
    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.text = ""
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read_until(self, words: str) -> None:
        while words not in self.text:
            if not self._read():
                raise AssertionError(f"{words!r} never came; there was: {self.text}")

    def ended(self) -> int:
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        try:
            piece = os.read(self._descriptor, 4096)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.text += self._decoder.decode(piece)
        return bool(piece)


def test_a_terminal_gets_a_bar_and_colours(runs: FakePlatform, tmp_path: Path) -> None:
    with on_terminal(tmp_path, "run", "inflate-v1", "image=chair.png") as terminal:
        assert terminal.ended() == 0

    assert "\x1b[" in terminal.text
    assert "━" in terminal.text
    assert "100%" in terminal.text
    assert f"inflate-v1-{JOB_ID}/mesh.glb" in terminal.text


def test_no_color_is_obeyed(runs: FakePlatform, tmp_path: Path) -> None:
    with on_terminal(tmp_path, "run", "inflate-v1", "image=chair.png", NO_COLOR="1") as terminal:
        assert terminal.ended() == 0

    assert "\x1b[3" not in terminal.text.replace("\x1b[?25", "")  # no colour, only movement
    assert "100%" in terminal.text


def test_a_table_on_a_terminal_keeps_ids_whole(platform: FakePlatform, tmp_path: Path) -> None:
    platform.on("GET /api/v1/jobs", page([job()]))

    with on_terminal(tmp_path, "jobs", "list", COLUMNS="60") as terminal:
        assert terminal.ended() == 0

    assert JOB_ID in terminal.text


def test_help_on_a_terminal_is_grouped(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "--help") as terminal:
        assert terminal.ended() == 0

    assert "Work" in terminal.text
    assert "Platform" in terminal.text


def test_ctrl_c_detaches_and_says_how_to_come_back(runs: FakePlatform, tmp_path: Path) -> None:
    runs.on(JOB, answer(job("RUNNING")))
    runs.on(
        f"{JOB}/events",
        sse(event(1, "job.queued"), event(2, "job.progress", stage="meshing"), endless=True),
    )

    with on_terminal(tmp_path, "run", "inflate-v1", "image=chair.png") as terminal:
        terminal.read_until("meshing")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130

    assert f"usina jobs watch {JOB_ID} --out inflate-v1-{JOB_ID}" in terminal.text
    assert f"usina jobs cancel {JOB_ID}" in terminal.text
    assert "Traceback" not in terminal.text
    assert runs.requests(f"POST /api/v1/jobs/{JOB_ID}/cancel") == []


def test_ctrl_c_detaches_a_watch(runs: FakePlatform, tmp_path: Path) -> None:
    runs.on(JOB, answer(job("RUNNING")))
    runs.on(
        f"{JOB}/events",
        sse(event(1, "job.queued"), event(2, "job.progress", stage="meshing"), endless=True),
    )

    for arguments in (["--events"], []):
        with on_terminal(tmp_path, "jobs", "watch", JOB_ID, *arguments) as terminal:
            terminal.read_until("meshing")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.ended() == 130
        assert f"usina jobs watch {JOB_ID}" in terminal.text


def test_a_reader_that_leaves_ends_it_quietly(platform: FakePlatform, tmp_path: Path) -> None:
    platform.on("GET /api/v1/jobs", page([job()] * 200, "more"))

    process = subprocess.run(
        f"{' '.join(USINA)} jobs list --limit 5000 | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert process.stdout.startswith(JOB_ID)
    assert process.stderr == ""


def test_standard_input_goes_up(platform: FakePlatform) -> None:
    platform.on("POST /api/v1/files", lambda seen: answer(file(seen.files[0][3]), 201))

    process = subprocess.run([*USINA, "files", "put", "-"], input=b"abc", capture_output=True)

    assert process.stdout == b"f1\n"
    assert platform.seen[0].files[0][1::2] == ("stdin", b"abc")


def test_help_loads_neither_the_server_nor_the_client() -> None:
    modules = loaded_by("--help")

    assert not modules & {
        "fastapi",
        "sqlalchemy",
        "httpx2",
        "pydantic",
        "rich",
        "uvicorn",
        "usina_client",
    }


def test_a_command_of_the_client_does_not_load_the_server(platform: FakePlatform) -> None:
    platform.on("GET /api/v1/jobs", page([]))

    modules = loaded_by("jobs", "list")

    assert "usina_client" in modules
    assert not modules & {"fastapi", "starlette", "sqlalchemy", "uvicorn", "pydantic_settings"}


def test_help_is_quick() -> None:
    """Processor time, which other work on the machine does not change."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*USINA, "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_the_version() -> None:
    process = subprocess.run([*USINA, "--version"], capture_output=True, text=True)

    assert (process.returncode, process.stdout) == (0, "usina 0.1.0\n")


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that are there after the command."""
    code = (
        "import sys; from usina.faces.cli.main import main; main(sys.argv[1:]);"
        "print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(process.stdout.splitlines()[-1].split())
