"""From a picture to a mesh by a foreign model: what comes out, and every way that it goes wrong."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import usina_runner
from tests.models.workshop import IMAGE_MODELS, at_home, job_of, processes_in, program
from tests.threed.program import Channel

FAULTS = {
    "out_of_memory": ("out_of_memory", "gpu", "smaller"),
    "gated": ("unavailable", "weights_gated", "accept"),
    "weights": ("unavailable", "weights_missing", "HF_HOME"),
    "native": ("unavailable", "install_broken", "texture_baker"),
    "no_gpu": ("unavailable", "no_gpu", "driver"),
    "crash": ("runner_failed", "program_failed", "size of tensor a"),
    "nan": ("runner_failed", "mesh_not_finite", "288 of 2011"),
    "empty": ("runner_failed", "mesh_empty", "Try a picture"),
    "nothing": ("runner_failed", "mesh_missing", "mesh.glb"),
}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program begins in a folder of its own; what is loaded keeps its home there."""
    monkeypatch.chdir(tmp_path)


def glb_of(path: Path) -> dict:
    content = path.read_bytes()
    (size,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + size])


@pytest.mark.parametrize("kept", ["true", "false"])
def test_every_failure_of_a_model_is_told_by_its_kind_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str
) -> None:
    checkout = at_home(monkeypatch, "sf3d", tmp_path)
    monkeypatch.setenv("SF3D_KEEP_LOADED", kept)
    model = program("sf3d")["MODEL"]
    keeper = model.keeper()
    assert (keeper is not None) == (kept == "true")
    for fault, (code, reason, words) in FAULTS.items():
        (checkout / "fault").write_text(fault)
        job = job_of("sf3d", tmp_path / fault, Channel(), texture_resolution=256)
        with pytest.raises(usina_runner.Failure) as failed:
            model.main(job, keeper)
        assert (failed.value.code, failed.value.reason) == (code, reason), fault
        assert words in failed.value.message, fault
        assert str(tmp_path) not in failed.value.message
        if keeper is not None:
            keeper.end()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("runner", IMAGE_MODELS)
def test_a_model_that_runs_once_gives_its_mesh_a_picture_and_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: str
) -> None:
    checkout = at_home(monkeypatch, runner, tmp_path)
    before = sorted(checkout.rglob("*"))
    channel = Channel()
    job = job_of(runner, tmp_path / "job", channel)
    program(runner)["MODEL"].main(job, None)
    metrics = {said["name"]: said["value"] for said in channel.of("metric")}
    report = json.loads((job.outputs / "report.json").read_text())

    assert {"mesh.glb", "preview.png", "report.json"} <= {p.name for p in job.outputs.iterdir()}
    with Image.open(job.outputs / "preview.png") as preview:
        assert preview.size == (1200, 900)
        assert len(set(preview.convert("L").resize((60, 45)).tobytes())) > 40, "it shows something"
    assert metrics["watertight"]
    assert metrics["largest_piece_share"] == 1
    assert report["bounds"][1][1] - report["bounds"][0][1] == pytest.approx(1, abs=0.11)
    if runner != "triposr":
        assert metrics["gpu_peak_bytes"] == 6_327_812_608 == report["gpu_peak_bytes"]
    stages = [said["stage"] for said in channel.of("progress")]
    assert {"decode", "preview"} <= set(stages)
    assert sorted(checkout.rglob("*")) == before, "nothing is left in the checkout"


@pytest.mark.parametrize(
    ("runner", "another"),
    [
        ("sf3d", {"pretrained_model": "someone/else"}),
        ("spar3d", {"low_vram_mode": True}),
        ("triposr", {"device": "cpu"}),
    ],
)
def test_what_is_loaded_serves_the_next_job_and_another_load_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: str, another: dict[str, Any]
) -> None:
    at_home(monkeypatch, runner, tmp_path)
    model = program(runner)["MODEL"]
    keeper = model.keeper()
    reports, stages, meshes = [], [], []
    for number, asked in enumerate(({}, {}, another)):
        channel = Channel()
        job = job_of(runner, tmp_path / str(number), channel, texture_resolution=256, **asked)
        model.main(job, keeper)
        reports.append(json.loads((job.outputs / "report.json").read_text()))
        stages.append({said["stage"] for said in channel.of("progress")})
        meshes.append((job.outputs / "mesh.glb").read_bytes())
    keeper.end()
    once = job_of(runner, tmp_path / "once", Channel(), texture_resolution=256)
    model.main(once, None)

    assert [each["kept_loaded"] for each in reports] == [False, True, False]
    assert "start" in stages[0]
    assert meshes[1] == (once.outputs / "mesh.glb").read_bytes(), "the same as its run.py makes"
    assert reports[1]["gpu_peak_bytes"] == 6_327_812_608
    assert reports[2]["gpu_peak_bytes"] != reports[1]["gpu_peak_bytes"] or runner == "sf3d"
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("kept", [True, False])
def test_triposr_stands_upright_with_colours_or_a_texture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool
) -> None:
    at_home(monkeypatch, "triposr", tmp_path)
    model = program("triposr")["MODEL"]
    keeper = model.keeper() if kept else None
    for name, asked, worn in (
        ("plain", {"no_remove_bg": True, "render": True}, "COLOR_0"),
        ("baked", {"bake_texture": True, "texture_resolution": 256}, "TEXCOORD_0"),
    ):
        job = job_of("triposr", tmp_path / name, Channel(), mc_resolution=64, **asked)
        model.main(job, keeper)
        told = glb_of(job.outputs / "mesh.glb")
        assert worn in told["meshes"][0]["primitives"][0]["attributes"]
        low, high = (told["accessors"][0][end] for end in ("min", "max"))
        assert high[1] - low[1] == pytest.approx(1), "it is tallest upwards, as glTF has it"
        assert (job.outputs / "render.mp4").is_file() == ("render" in asked)
    if keeper is not None:
        keeper.end()


def test_spar3d_without_what_cuts_out_says_that_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(monkeypatch, "spar3d", tmp_path)
    monkeypatch.setenv("TRANSPARENT_BACKGROUND_FILE_PATH", str(tmp_path / "nowhere"))
    model = program("spar3d")["MODEL"]
    with pytest.raises(usina_runner.Failure) as failed:
        model.main(job_of("spar3d", tmp_path / "job", Channel()), model.keeper())
    assert failed.value.reason == "weights_missing"


@pytest.mark.parametrize(("kept", "asked"), [(False, {}), (True, {"remesh_option": "quad"})])
def test_spar3d_without_its_remeshers_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool, asked: dict[str, Any]
) -> None:
    """Its run.py can do nothing then; kept loaded, all but what needs them."""
    at_home(monkeypatch, "spar3d", tmp_path, fault="no_remesher")
    model = program("spar3d")["MODEL"]
    keeper = model.keeper() if kept else None
    if keeper is not None:
        model.main(job_of("spar3d", tmp_path / "plain", Channel()), keeper)
    with pytest.raises(usina_runner.Failure) as failed:
        model.main(job_of("spar3d", tmp_path / "job", Channel(), **asked), keeper)
    assert (failed.value.code, failed.value.reason) == ("unavailable", "install_broken")
    assert "requirements-remesh.txt" in failed.value.message


@pytest.mark.parametrize("kept", ["true", "false"])
def test_a_cancel_ends_the_model_at_once_and_the_next_job_has_a_fresh_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str
) -> None:
    checkout = at_home(monkeypatch, "sf3d", tmp_path, compute=3600)
    monkeypatch.setenv("SF3D_KEEP_LOADED", kept)
    model = program("sf3d")["MODEL"]
    keeper = model.keeper()
    with pytest.raises(usina_runner.Cancelled):
        model.main(job_of("sf3d", tmp_path / "cancelled", Channel("generate")), keeper)
    assert processes_in(tmp_path) == []

    (checkout / "seconds.json").unlink()
    job = job_of("sf3d", tmp_path / "next", Channel(), texture_resolution=256)
    model.main(job, keeper)
    assert (job.outputs / "mesh.glb").is_file()
    if keeper is not None:
        keeper.end()


def test_a_hostile_picture_never_reaches_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(monkeypatch, "sf3d", tmp_path)
    job = job_of("sf3d", tmp_path / "job", Channel())
    job.inputs["image"][0].write_bytes(job.inputs["image"][0].read_bytes()[:3000])
    with pytest.raises(usina_runner.InvalidInput) as refused:
        program("sf3d")["MODEL"].main(job, None)
    assert refused.value.reason == "image_truncated"
    assert not (tmp_path / "job" / "picture.png").exists()
