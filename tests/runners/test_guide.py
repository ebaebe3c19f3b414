"""The guide's runners run as printed, and its tables say what the code does."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

import usina_runner
from tests.docs.page import ROOT, write_files
from tests.old_python import make_environment, old_python
from tests.runners.stage import Act, Recorder, Stage
from usina.kernel.runners.assignment import Assignment, StopSignal
from usina.kernel.runners.check.suite import CHECKS, MANIFEST, MANIFEST_SENTENCE
from usina.kernel.runners.gate import GateSpec
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import (
    Environment,
    InputSpec,
    Kind,
    Manifest,
    OutputSpec,
    ProbeSpec,
    Resources,
    load_manifest,
)
from usina.kernel.runners.outcome import Exit, failure_of_exit
from usina.kernel.runners.protocol import ERROR_CODES, parse
from usina.kernel.runners.terms import Install, Terms, Weights
from usina.kernel.runners.work import WorkFolder

GUIDE = ROOT / "docs/guides/bring-your-own-program.md"
REFERENCE = ROOT / "docs/reference/runners.md"
STORY = "The cat sat. The cat and the hat sat on the mat. Why?\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds the files of the guide where it says."""
    write_files(GUIDE, tmp_path)
    models = tmp_path / "models"
    make_environment(models / "rhythm-v1/env")
    shutil.copy(usina_runner.__file__, models / "rhythm-v1/usina_runner.py")
    return models


async def play(stage: Stage, manifest: Manifest, text: str, params: dict[str, Any]) -> Act:
    work = WorkFolder.create(stage.root, "job")
    (work.path / "inputs/text.txt").write_text(text)
    job = {"id": "job", "model": manifest.name, "model_version": manifest.version, "attempt": 1}
    given = {"params": params, "inputs": {"text": ["inputs/text.txt"]}}
    work.write_job({**job, **given, "checkpoint": None, "cores": 1})
    told = Recorder()
    assignment = Assignment(manifest, work, "one", manifest.timeout_seconds, cores=1)
    return Act(await stage.pool.run(assignment, told, StopSignal()), work, told, manifest)


async def test_the_shell_script_counts_words(stage: Stage, folder: Path) -> None:
    act = await play(stage, load_manifest(folder / "words-v1"), STORY, {"most": 3})
    assert act.failure is None
    assert act.left("words.csv") == "word,count\nthe,4\ncat,2\nsat,2\n"
    assert {name: output.kind for name, output in act.outputs().items()} == {"words.csv": "data"}
    assert act.told.steps[-1] == (0.9, "writing")
    assert act.told.text == "8 different words\n"


async def test_the_shell_script_refuses_a_text_without_words(stage: Stage, folder: Path) -> None:
    act = await play(stage, load_manifest(folder / "words-v1"), "1 2 3\n", {"most": 3})
    assert act.failure == ("invalid_input", "no_words")
    assert act.outcome.failure is not None
    assert act.outcome.failure.message == "The text has no words."


async def test_the_python_program_draws(stage: Stage, folder: Path) -> None:
    manifest = load_manifest(folder / "rhythm-v1")
    for _ in range(2):
        act = await play(stage, manifest, STORY, {"color": "#102030"})
        assert act.failure is None
        assert act.left("rhythm.svg").count("<rect ") == 3
        assert 'fill="#102030"' in act.left("rhythm.svg")
        report = json.loads(act.left("report.json"))
        assert (report["sentences"], report["python"]) == (3, old_python().version)
        assert set(report["seconds"]) == {"read", "draw", "total"}
        assert act.outcome.metrics == {"sentences": 3}
        assert set(act.outputs()) == {"rhythm.svg", "report.json"}
    assert stage.pool.warm() == {("rhythm-v1", "one")}


async def test_the_python_program_refuses_a_text_without_sentences(
    stage: Stage, folder: Path
) -> None:
    act = await play(stage, load_manifest(folder / "rhythm-v1"), "...", {"color": "#102030"})
    assert act.failure == ("invalid_input", "no_sentences")


def rows(title: str) -> list[list[str]]:
    """The cells of the tables below a heading of the reference, without their heads."""
    section = REFERENCE.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    lines = "".join(tables).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_key_of_a_manifest_is_in_the_guide() -> None:
    tables = {
        "environment.": Environment,
        "inputs.NAME.": InputSpec,
        'outputs."NAME".': OutputSpec,
        "resources.": Resources,
        "probe.": ProbeSpec,
        "gates.NAME.": GateSpec,
        "terms.": Terms,
        "weights.": Weights,
        "install.": Install,
    }
    nested = {"folder", "environment", "inputs", "params", "outputs", "resources", "probe", "gates"}
    nested |= {"homes", "terms", "weights", "install"}
    known = {*Manifest.model_fields} - nested | {"params.NAME"}
    for prefix, table in tables.items():
        known |= {prefix + (field.alias or key) for key, field in table.model_fields.items()}
    told = rows("`runner.toml`")
    assert {key for row in told for key in quoted(row[0])} == known
    (kinds,) = (row[2] for row in told if row[0] == '`outputs."NAME".kind`')
    assert quoted(kinds) == list(get_args(Kind))


def test_every_key_of_the_job_is_in_the_guide(stage: Stage, folder: Path) -> None:
    work = stage.prepare(load_manifest(folder / "words-v1"))
    job = json.loads((work.path / "job.json").read_text())
    told = [key for row in rows("`job.json`") for key in quoted(row[0])]
    assert told == [*job, "notice"], "the last one where the model has terms with a notice"


def test_every_message_is_in_the_guide_and_is_understood() -> None:
    lines = [quoted(row[0])[0] for row in rows("Messages")]
    inward = {'{"type": "cancel"}', '{"type": "run", "work": "/..."}', '{"type": "exit"}'}
    outward = [line for line in lines if line not in inward]
    assert len(outward) == len(lines) - len(inward)
    kinds = {type(parse(line.encode())).__name__ for line in outward}
    assert kinds == {"Progress", "LogLine", "DeclaredArtifact", "Metric", "Checkpoint"} | {
        "Records",
        "Result",
        "Error",
        "Ready",
    }


@pytest.mark.parametrize(
    ("ended", "what"),
    [
        (Exit(code=0), "without `result`"),
        (Exit(code=3), "another exit code"),
        (Exit(signal=11), "by a signal"),
        (Exit(cause="too_many_processes"), "processes"),
        (Exit(cause="out_of_memory"), "more memory"),
        (Exit(refused="No such file"), "can not be started"),
    ],
)
def test_every_ending_is_called_as_the_guide_says(ended: Exit, what: str) -> None:
    (row,) = (row for row in rows("How a job ends") if what in row[0])
    failure = failure_of_exit(ended, "", 1024**3)
    assert quoted(row[1]) == [failure.code]
    assert quoted(row[2])[:1] == ([failure.reason] if failure.reason else [])


def test_the_limits_are_those_of_the_code() -> None:
    limits, text = RunnerLimits(), REFERENCE.read_text()
    section = text.split("## How a job ends", 1)[1].replace("\n", " ")
    for said in (
        f"there are more than {limits.artifacts} ",
        f"more than {limits.processes} processes",
        f"TERM after {limits.term_seconds:g} s and KILL after {limits.kill_seconds:g} s",
        f"cut after {limits.log_bytes // 1024**2} MiB",
        f"beyond {limits.file_bytes // 1024**3} GiB",
        f"more than {limits.open_files} files",
    ):
        assert said in section
    assert f"Lines of JSON, {limits.line_bytes // 1024} KiB at most" in text
    assert set(quoted(section.split("An `error` of a program", 1)[1])) >= ERROR_CODES


def test_every_check_is_in_the_reference() -> None:
    told = {quoted(name)[0]: sentence for name, sentence in rows("What is checked")}
    assert told == {MANIFEST: MANIFEST_SENTENCE} | {each.name: each.sentence for each in CHECKS}
