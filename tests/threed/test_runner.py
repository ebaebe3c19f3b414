"""The picture programs as the platform starts them: artifacts, report, progress, gates, cancel."""

import io
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import usina_runner
from tests.corpus.images import disc, encode
from tests.threed.body import read_glb
from tests.threed.program import Channel, defaults, manifest, program, run
from tests.threed.scene import sample, share
from usina.apps.threed.intake import Intake
from usina.apps.threed.mask import DOUBTFUL
from usina.apps.threed.mesh import measure
from usina.apps.threed.option import InflateOption, ReliefOption, read_option
from usina.apps.threed.printing.judgement import THIN_SHARE
from usina.imaging.picture import open_picture
from usina.kernel.runners.gate import Gate, judge

MODELS = ("inflate-v1", "relief-v1")
OPTIONS = {"inflate-v1": InflateOption, "relief-v1": ReliefOption}
OWN_STAGE = {"inflate-v1": "inflate", "relief-v1": "relief"}
FILES = {
    "mesh.glb",
    "mesh.stl",
    "mesh.zip",
    "preview.png",
    "turntable.webp",
    "mask.png",
    "report.json",
}


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("model", MODELS)
def test_the_manifest_and_the_program_agree(model: str) -> None:
    told = manifest(model)
    option = OPTIONS[model]
    assert {field.name for field in fields(option)} == set(told.params)
    expected = {name: value for name, value in asdict(option()).items() if name != "rectangle"}
    assert defaults(model) == expected
    assert all("description" in params for params in told.params.values())
    assert set(told.outputs) == FILES
    assert told.mode == "warm"
    assert told.params_schema()["additionalProperties"] is False


@pytest.fixture(scope="module", params=MODELS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Channel]:
    """A model, the folder of its outputs from a photo of a cup, and what it said."""
    folder, channel = tmp_path_factory.mktemp("made"), Channel()
    run(request.param, folder, channel, {"image": sample("coffee.png").read_bytes()})
    return request.param, folder / "outputs", channel


def test_a_photo_becomes_a_model(made: tuple[str, Path, Channel]) -> None:
    model, outputs, channel = made
    report = json.loads((outputs / "report.json").read_text())
    told = {Path(message["path"]).name: message["kind"] for message in channel.of("artifact")}
    assert told == {name: spec.kind for name, spec in manifest(model).outputs.items()}
    assert {path.name for path in outputs.iterdir()} == FILES
    glb = read_glb((outputs / "mesh.glb").read_bytes())
    measures = measure(glb.positions, glb.faces)
    assert (report["vertices"], report["faces"]) == (len(glb.positions), len(glb.faces))
    assert report["watertight"] is measures.watertight is True
    assert report["volume_m3"] == pytest.approx(measures.volume)
    assert np.ptp(report["bounds_m"], axis=0).max() == pytest.approx(0.1, rel=1e-4)
    assert report["bounds_m"][0][1] == 0
    assert max(report["printing"]["size_mm"]) == pytest.approx(100, rel=1e-4)
    assert report["printing"]["volume_ml"] == pytest.approx(1e6 * measures.volume, rel=1e-3)
    assert report["printing"]["watertight"] is True
    assert report["faces"] == pytest.approx(20_000, rel=0.002)
    assert report["faces_deviation"] == pytest.approx(report["faces"] / 20_000 - 1, abs=1e-4)
    assert 0 <= glb.uv.min() < glb.uv.max() <= 1
    assert 0.4 < report["mask_fraction"] < 0.55
    assert report["mask_confidence"] > 0.6
    assert report["mask_method"] == "cut"
    assert report["warnings"] == []
    assert report["inputs"]["image"][0]["sha256"]
    assert size_of(outputs / "mask.png") == (600, 400)
    assert size_of(outputs / "preview.png") == (1200, 900)
    steps = [message["progress"] for message in channel.of("progress")]
    assert steps == sorted(steps)
    stages = list(dict.fromkeys(message["stage"] for message in channel.of("progress")))
    assert stages == [
        "decode",
        "mask",
        OWN_STAGE[model],
        "mesh",
        "texture",
        "write",
        "preview",
        "turntable",
        "printing",
    ]
    assert [*report["seconds"]] == [*stages, "total"]


def gates(model: str, channel: Channel) -> dict[str, Gate]:
    """As the platform judges what a program told; it counts a truth as 1."""
    told = {message["name"]: message["value"] for message in channel.of("metric")}
    return {gate.name: gate for gate in judge(manifest(model).gates, told)}


def test_a_good_result_passes_its_gates(made: tuple[str, Path, Channel]) -> None:
    model, _, channel = made
    assert {name: gate.ok for name, gate in gates(model, channel).items()} == {
        "closed": True,
        "object_found": True,
        "sturdy_walls": True,
    }


@pytest.mark.parametrize("model", MODELS)
def test_gates_stand_where_the_warnings_do(model: str) -> None:
    told = manifest(model).gates
    assert told["object_found"].at_least == DOUBTFUL
    assert told["sturdy_walls"].at_most == THIN_SHARE


def test_a_doubtful_object_and_walls_that_break_do_not_pass(tmp_path: Path) -> None:
    """A cat, three millimetres long."""
    channel = Channel()
    photo = {"image": sample("chelsea.png").read_bytes()}
    report = run("inflate-v1", tmp_path, channel, photo, size=3, target_faces=1000)
    judged = gates("inflate-v1", channel)
    assert judged["closed"].ok is True
    assert judged["object_found"].ok is (report["mask_confidence"] >= DOUBTFUL)
    assert judged["sturdy_walls"].ok is False
    assert str(report["printing"]["thin_share"]) in judged["sturdy_walls"].message


@pytest.mark.parametrize("stage", ["mask", "mesh", "preview"])
def test_a_cancelled_job_stops(stage: str, tmp_path: Path) -> None:
    with pytest.raises(usina_runner.Cancelled):
        run("inflate-v1", tmp_path, Channel(stage), {"image": encode(disc(), "PNG")})
    assert not (tmp_path / "outputs" / "report.json").exists()


def test_the_same_job_gives_the_same_bytes(made: tuple[str, Path, Channel], tmp_path: Path) -> None:
    model, outputs, _ = made
    run(model, tmp_path, Channel(), {"image": sample("coffee.png").read_bytes()})
    for file in FILES - {"report.json"}:
        again = (tmp_path / "outputs" / file).read_bytes()
        assert again == (outputs / file).read_bytes(), file


def test_a_drawn_mask_and_the_options_are_followed(tmp_path: Path) -> None:
    """And nothing of where the photo was taken comes out."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "SECRETPLACE"
    photo = encode(disc(200, 150), "JPEG", exif=exif)
    drawn = Image.new("L", (200, 150))
    drawn.paste(255, (60, 30, 140, 120))
    report = run(
        "inflate-v1",
        tmp_path,
        Channel(),
        {"image": photo, "mask": encode(drawn, "PNG")},
        size=200,
        unit="cm",
        depth=1.0,
        back="plain",
        texture_size=256,
        target_faces=1000,
    )
    assert (report["mask_method"], report["mask_confidence"]) == ("mask", 1.0)
    assert [notice["code"] for notice in report["warnings"]] == ["image_small"]
    assert report["faces"] <= 1600
    extent = np.ptp(report["bounds_m"], axis=0)
    assert extent == pytest.approx([2 * 80 / 90, 2, 2 * 80 / 90], rel=0.05)
    outputs = tmp_path / "outputs"
    with Image.open(outputs / "mask.png") as written:
        assert share(np.asarray(written) > 127, np.asarray(drawn) > 127) > 0.97
    glb = read_glb((outputs / "mesh.glb").read_bytes())
    assert max(Image.open(io.BytesIO(glb.image)).size) <= 256
    for path in outputs.iterdir():
        assert b"SECRETPLACE" not in path.read_bytes()
        assert b"Exif" not in path.read_bytes()


@pytest.mark.parametrize(
    ("option", "method"),
    [
        (ReliefOption(), "whole"),
        (ReliefOption(subject="object"), "cut"),
        (ReliefOption(subject="picture", rectangle=(0, 0, 390, 300)), "whole"),
        (ReliefOption(rectangle=(0, 0, 390, 300)), "rectangle"),
    ],
)
def test_a_relief_raises_what_is_surely_there_or_pointed_at(
    option: ReliefOption, method: str
) -> None:
    cat = open_picture(sample("chelsea.png"))
    assert program("relief-v1")["choose_mask"](Intake(cat, None), option).method == method


def test_a_picture_without_an_object_is_a_relief_but_no_balloon(tmp_path: Path) -> None:
    flat = encode(Image.new("RGB", (80, 60), "gray"), "PNG")
    report = run("relief-v1", tmp_path / "relief", Channel(), {"image": flat}, target_faces=500)
    assert report["mask_method"] == "whole"
    assert (report["mask_fraction"], report["mask_confidence"]) == (1.0, 1.0)
    assert report["watertight"] is True
    with pytest.raises(usina_runner.InvalidInput) as refusal:
        run("inflate-v1", tmp_path / "balloon", Channel(), {"image": flat})
    assert refusal.value.reason == "mask_empty"


@pytest.mark.parametrize(
    ("size", "unit", "metres"),
    [(100, "mm", 0.1), (25, "cm", 0.25), (2, "m", 2.0), (4, "in", 0.1016)],
)
def test_a_size_is_counted_in_its_unit(size: float, unit: str, metres: float) -> None:
    option = read_option(InflateOption, {"size": size, "unit": unit})
    assert option.size_m == pytest.approx(metres)


@pytest.mark.parametrize(("size", "unit"), [(0.5, "mm"), (101, "m"), (100_000, "in")])
def test_a_size_that_nobody_means_is_refused(size: float, unit: str) -> None:
    with pytest.raises(usina_runner.InvalidInput) as refusal:
        read_option(ReliefOption, {"size": size, "unit": unit})
    assert refusal.value.reason == "size_out_of_range"
