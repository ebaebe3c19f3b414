"""`usina runner`: a folder checked and run by hand, by exit codes, words and files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Usina
from tests.runners.check.rogue import Rogue
from usina.kernel.registry import discover_apps

MANIFEST = """\
name = "copy-v1"
version = "1.2.0"
task = "test"
description = "Copies a text some times."
license = "MIT"
command = ["sh", "run.sh"]

[inputs.text]
media_types = ["text/plain"]

[params.times]
description = "How often."
type = "integer"
minimum = 1
maximum = 3
default = 2

[outputs."copy.txt"]
kind = "data"
"""
PROGRAM = """\
set -eu
echo 'log é'
echo '{"type": "progress", "progress": 0.5, "stage": "copying"}' >&3
if grep -q REFUSE inputs/text.txt; then
    echo '{"type":"error","code":"invalid_input","reason":"refused","message":"Not this one."}' >&3
    exit 1
fi
if grep -q WAIT inputs/text.txt; then sleep 60; fi
times=$(sed 's/.*"times": *\\([0-9]*\\).*/\\1/' job.json)
while [ "$times" -gt 0 ]; do cat inputs/text.txt; times=$((times - 1)); done >outputs/copy.txt
echo '{"type": "result"}' >&3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models/copy-v1"
    (folder / "examples").mkdir(parents=True)
    (folder / "runner.toml").write_text(MANIFEST)
    (folder / "run.sh").write_text(PROGRAM)
    (folder / "examples/one.json").write_text('{"inputs": {"text": "one.txt"}}')
    (folder / "examples/one.txt").write_text("One.\n")
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a text.txt"
    path.write_text("Two.\n")
    return path


def test_run_leaves_the_artifacts_and_prints_their_paths(
    usina: Usina, folder: Path, text: Path, tmp_path: Path
) -> None:
    done = usina("runner", "run", folder, f"text={text}", "--param", "times=3", "--out", "made")

    assert (done.code, done.out) == (0, "made/copy.txt\nmade/log.txt\n")
    assert (tmp_path / "made/copy.txt").read_text() == "Two.\n" * 3
    assert (tmp_path / "made/log.txt").read_text() == "log é\n"
    assert "log é\n" in done.err
    assert "copy-v1: copying\n" in done.err


def test_run_names_its_folder_after_the_run_and_fills_the_defaults_in(
    usina: Usina, folder: Path, text: Path, tmp_path: Path
) -> None:
    done = usina("runner", "run", folder, f"text={text}", "--json")

    assert done.code == 0
    job = done.json
    assert (job["status"], job["params"], job["error"]) == ("SUCCEEDED", {"times": 2}, None)
    assert job["files"] == [f"copy-v1-{job['id']}/copy.txt", f"copy-v1-{job['id']}/log.txt"]
    (copy, _) = job["artifacts"]
    assert (copy["kind"], copy["media_type"], copy["size_bytes"]) == ("data", "text/plain", 10)
    assert (tmp_path / job["files"][0]).stat().st_size == 10
    assert done.err == ""


def test_what_a_submit_would_refuse_is_refused_with_its_pointer(
    usina: Usina, folder: Path, text: Path, tmp_path: Path
) -> None:
    done = usina("runner", "run", folder, f"text={text}", "-p", "times=9")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "usina: params: 9 is greater than the maximum of 3\n"
        "  /params/times: 9 is greater than the maximum of 3\n"
        "  times takes an integer, at least 1, at most 3.\n"
    )

    picture = tmp_path / "picture.txt"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    done = usina("runner", "run", folder, f"text={picture}", "--json")
    assert (done.code, done.problem["code"]) == (1, "input_media_type")
    assert done.problem["errors"][0]["pointer"] == "/inputs/text"

    (tmp_path / "empty").touch()
    done = usina("runner", "run", folder, f"text={tmp_path / 'empty'}", "--json")
    assert (done.code, done.problem["code"]) == (1, "empty_file")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "copy-v1 needs text=FILE"),
        (["text=none.txt"], "'none.txt' does not exist"),
        (["text=0199b1f4-3c1e-7e1a-8d5c-0123456789ab"], "is no file here"),
        (["text={text}", "-p", "time=1"], "Did you mean times?"),
        (["txt={text}"], "Did you mean text?"),
    ],
)
def test_wrong_usage_ends_with_2(
    usina: Usina, folder: Path, text: Path, arguments: list[str], said: str
) -> None:
    done = usina("runner", "run", folder, *(each.format(text=text) for each in arguments))

    assert done.code == 2
    assert said in done.err


def test_a_folder_that_is_no_runner_ends_with_1(usina: Usina, folder: Path, tmp_path: Path) -> None:
    done = usina("runner", "run", tmp_path)
    assert (done.code, done.err) == (
        1,
        f"usina: {tmp_path}/runner.toml: No such file or directory\n",
    )

    (folder / "runner.toml").write_text(MANIFEST.replace('"sh"', '"no-such-program"'))
    done = usina("runner", "run", folder, "--json")
    assert (done.code, done.problem["code"]) == (1, "model_unavailable")


def test_a_program_that_fails_ends_with_3_and_leaves_nothing(
    usina: Usina, folder: Path, text: Path, tmp_path: Path
) -> None:
    text.write_text("REFUSE\n")
    done = usina("runner", "run", folder, f"text={text}", "--out", "made")
    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("usina: invalid_input (refused): Not this one.\n")
    assert not (tmp_path / "made").exists()

    done = usina("runner", "run", folder, f"text={text}", "--json")
    assert (done.code, done.json["status"], done.problem["code"]) == (3, "FAILED", "invalid_input")
    assert done.json["error"]["reason"] == "refused"

    text.write_text("WAIT\n")
    done = usina("runner", "run", folder, f"text={text}", "--timeout", "0.3", "--json")
    assert (done.code, done.problem["code"]) == (3, "timeout")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_ends_with_130_and_leaves_nothing(
    folder: Path, text: Path, tmp_path: Path, number: signal.Signals
) -> None:
    text.write_text("WAIT\n")
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "usina.faces.cli.main", "runner", "run", str(folder)]
    with subprocess.Popen(
        [*command, f"text={text}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        assert any("copying" in line for line in process.stderr)
        process.send_signal(number)
        assert process.wait(10) == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def test_check_says_what_holds_and_what_not(usina: Usina, folder: Path) -> None:
    done = usina("runner", "check", folder, "--only", "result", "--only", "ready")
    assert (done.code, done.out) == (
        0,
        "result\tpassed\tIt does its example: result, and exit 0 when cold.\n"
        "ready\tnot checked\tit is cold\n",
    )
    assert done.err.endswith("1 passed, 0 failed, 1 not checked\n")

    (folder / "examples/one.txt").write_text("REFUSE\n")
    done = usina("runner", "check", folder, "--only", "result", "--json")
    assert done.code == 1
    assert (done.json["failed"], done.json["passed"], done.json["not_checked"]) == (1, 0, 0)
    (check,) = done.json["checks"]
    assert (check["name"], check["verdict"]) == ("result", "failed")
    assert check["why"].startswith("invalid_input, refused: Not this one.")


def test_check_takes_inputs_and_parameters(usina: Usina, folder: Path, text: Path) -> None:
    (folder / "examples/one.json").unlink()
    done = usina("runner", "check", folder, "--only", "result")
    assert done.code == 1
    assert "it needs text" in done.out

    given = [f"text={text}", "-p", "times=1", "--only", "outputs-made", "--json"]
    done = usina("runner", "check", folder, *given)
    assert (done.code, done.json["checks"][0]["why"]) == (0, "copy.txt 5 B")

    done = usina("runner", "check", folder, f"text={text}", "-p", "times=9")
    assert done.code == 1
    assert "/params/times" in done.err


def test_check_knows_its_names(usina: Usina, folder: Path) -> None:
    done = usina("runner", "check", folder, "--only", "cancel-start")

    assert done.code == 2
    assert "Did you mean cancel-at-start" in done.err


def test_a_broken_manifest_is_a_finding(usina: Usina, tmp_path: Path) -> None:
    rogue = Rogue("", "", "colour = 1\n" + Rogue.manifest)

    done = usina("runner", "check", rogue.write(tmp_path / "rogue-v1"))

    assert done.code == 1
    assert done.out.startswith("manifest\tfailed\t")
    assert "colour: unknown key" in done.out


def test_a_warm_program_of_a_room_runs_by_hand(usina: Usina) -> None:
    (echo,) = (
        path.parent
        for app in discover_apps("usina.apps")
        for path in app.runners.glob("echo-v1/runner.toml")
    )
    done = usina("runner", "run", echo, "-p", "artifact_bytes=9", "--out", "made")

    assert (done.code, done.out) == (0, "made/artifact-1.bin\nmade/report.json\n")
    assert json.loads(Path("made/report.json").read_text())["params"] == {"artifact_bytes": 9}
