"""From words to a mesh by threestudio: the prompt as it was said, checkpoints, one GPU."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import usina_runner
from tests.models.installed import MODELS
from tests.models.workshop import at_home, job_of, processes_in, program
from tests.threed.program import Channel
from usina.apps.threed.foreign.override import override, said

CONFIG = MODELS / "threestudio" / "configs" / "dreamfusion-sd.yaml"
KEY = "system.prompt_processor.prompt"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from(" "))
SIGNS = st.text(st.sampled_from("\"'`$\\{}[]()=,:;#&*!|>%@?-~. \ta1né😀"), min_size=1)
SMALL = {"prompt": "a bear", "max_steps": 120, "checkpoint_steps": 50, "texture_size": 256}


def read_back(prompt: str) -> str:
    """As threestudio does: merged, resolved, written, and read and resolved once more."""
    OmegaConf.register_resolver("rmspace", lambda text, sub: "x", replace=True)
    words = OmegaConf.from_cli([override(KEY, prompt), override("tag", "trial")])
    merged = OmegaConf.merge(OmegaConf.load(CONFIG), words)
    OmegaConf.resolve(merged)
    again = OmegaConf.create(OmegaConf.to_yaml(merged))
    OmegaConf.resolve(again)
    assert again.tag == "trial"
    return again.system.prompt_processor.prompt


@settings(max_examples=60, deadline=None)
@given(TEXT | SIGNS)
def test_a_prompt_is_read_back_as_it_was_said_or_refused(prompt: str) -> None:
    words = " ".join(prompt.split())
    if not words or "${" in words or words == "???":
        with pytest.raises(usina_runner.InvalidInput):
            said(prompt)
    else:
        assert said(prompt) == words
        assert read_back(words) == words


@pytest.mark.parametrize(
    "prompt", ["", " \n ", "a ${oc.env:HOME}", "${system}", "???", "lib:bear", "a\0b", "a\u202eb"]
)
def test_what_would_mean_something_is_refused(prompt: str) -> None:
    with pytest.raises(usina_runner.InvalidInput) as refused:
        said(prompt)
    assert refused.value.reason == "prompt_characters"


def test_the_whole_way_leaves_files_a_checkpoint_and_no_trace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout = at_home(monkeypatch, "dreamfusion", tmp_path)
    before = sorted(checkout.rglob("*"))
    prompt = 'a "small" bear = one, [brown]: it\'s {soft} & \\ new'
    channel = Channel()
    job = job_of("dreamfusion", tmp_path / "job", channel, **{**SMALL, "prompt": prompt})
    program("dreamfusion")["make"](job)
    report = json.loads((job.outputs / "report.json").read_text())

    trial = tmp_path / "job" / "threestudio" / "made" / "job" / "trial"
    parsed = OmegaConf.load(trial / "configs" / "parsed.yaml")
    assert parsed.system.prompt_processor.prompt == prompt
    assert report["prompt"] == prompt
    assert not report["resumed"]
    assert "export" in {told["stage"] for told in channel.of("progress")}
    assert channel.of("checkpoint")[-1]["path"] == "outputs/checkpoint-100.ckpt"
    assert [path.name for path in job.outputs.glob("checkpoint*")] == ["checkpoint-100.ckpt"]
    with zipfile.ZipFile(job.outputs / "mesh.zip") as packed:
        assert {"mesh.obj", "mesh.mtl", "texture.jpg"} == set(packed.namelist())
    assert sorted(checkout.rglob("*")) == before
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "asked", "code", "reason"),
    [
        ("out_of_memory", {}, "out_of_memory", "gpu"),
        ("native", {}, "unavailable", "install_broken"),
        ("nothing", {}, "runner_failed", "mesh_missing"),
        ("", {"max_steps": 50}, "runner_failed", "mesh_empty"),
    ],
)
def test_every_failure_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, asked: dict, code: str, reason: str
) -> None:
    at_home(monkeypatch, "dreamfusion", tmp_path, fault)
    job = job_of("dreamfusion", tmp_path / "job", Channel(), **(SMALL | asked))
    with pytest.raises(usina_runner.Failure) as failed:
        program("dreamfusion")["make"](job)
    assert (failed.value.code, failed.value.reason) == (code, reason)


def test_weights_that_upstream_has_withdrawn_are_missed_until_others_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(monkeypatch, "dreamfusion", tmp_path)
    monkeypatch.delenv("DREAMFUSION_DIFFUSION_MODEL")
    with pytest.raises(usina_runner.Failure) as failed:
        program("dreamfusion")["make"](job_of("dreamfusion", tmp_path / "job", Channel(), **SMALL))
    assert failed.value.reason == "weights_missing"


@pytest.mark.parametrize("devices", ["", "0,1"])
def test_it_takes_one_gpu_and_no_other_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, devices: str
) -> None:
    at_home(monkeypatch, "dreamfusion", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    with pytest.raises(usina_runner.Failure) as failed:
        program("dreamfusion")["make"](job_of("dreamfusion", tmp_path / "job", Channel(), **SMALL))
    assert failed.value.reason == "no_gpu"


def test_a_cancel_ends_the_training_and_what_it_learned_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(monkeypatch, "dreamfusion", tmp_path, step=0.002)
    channel = Channel("train")
    job = job_of("dreamfusion", tmp_path / "job", channel, **(SMALL | {"max_steps": 100_000}))
    with pytest.raises(usina_runner.Cancelled):
        program("dreamfusion")["make"](job)
    assert processes_in(tmp_path) == []
