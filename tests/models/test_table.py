"""The stand-ins and the wrappers against the options that upstream declares."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.models.installed import MODELS, environment_python, install
from tests.models.workshop import IMAGE_MODELS, STAND_INS, manifest, program

OURS = {"image", "--output-dir", "--model-save-format", "--batch_size"}
"""What the wrapper says itself: one picture a job, a folder of the job's, a form that it reads."""


def table(runner: str) -> dict[str, dict[str, Any]]:
    told = tomllib.loads((MODELS / STAND_INS.get(runner, runner) / "arguments.toml").read_text())
    return {each["names"][0]: each for each in told["argument"]}


def run(stand_in: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = "launch.py" if stand_in == "threestudio" else "run.py"
    home = install(stand_in, folder)
    return subprocess.run(
        [environment_python(), home / script, *words],
        cwd=home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("runner", IMAGE_MODELS)
def test_every_option_of_upstream_is_a_parameter_and_no_other(runner: str) -> None:
    flags, declared = program(runner)["MODEL"].flags, manifest(runner).params

    assert set(flags.values()) | OURS >= table(runner).keys() >= set(flags.values())
    assert declared.keys() == flags.keys()


@pytest.mark.parametrize("runner", IMAGE_MODELS)
def test_a_parameters_kind_choices_and_default_are_upstreams(runner: str) -> None:
    flags, options = program(runner)["MODEL"].flags, table(runner)
    kinds = {"int": "integer", "float": "number"}
    for name, declared in manifest(runner).params.items():
        option = options[flags[name]]
        if name in {"device", "pretrained_model"}:
            continue
        if option.get("action") == "store_true":
            assert (declared["type"], declared["default"]) == ("boolean", False), name
            continue
        assert declared["type"] == kinds.get(option.get("type", ""), "string"), name
        assert declared["default"] == option["default"], name
        assert declared.get("enum") == option.get("choices"), name


@pytest.mark.parametrize(
    ("stand_in", "words", "refusal"),
    [
        ("sf3d", ("--device=cuda:0", "a.png"), "Invalid device. Use cuda, mps or cpu"),
        ("sf3d", ("--remesh-option=quad", "a.png"), "unrecognized arguments: --remesh-option"),
        ("spar3d", ("--remesh_option=both", "a.png"), "invalid choice: 'both'"),
        ("triposr", (), "the following arguments are required: image"),
        ("threestudio", ("--config", "x"), "one of the arguments --train --validate --test"),
        ("threestudio", ("--config", "x", "--train", "--export"), "not allowed with argument"),
    ],
)
def test_a_stand_in_refuses_what_upstream_refuses(
    tmp_path: Path, stand_in: str, words: tuple[str, ...], refusal: str
) -> None:
    done = run(stand_in, tmp_path, *words)

    assert done.returncode != 0
    assert refusal in done.stderr
