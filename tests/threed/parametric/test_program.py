"""parametric-v1 as the platform starts it: artifacts, report, progress, cancel, repetition."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

import usina_runner
from tests.threed.body import read_painted_glb
from tests.threed.test_runner import Channel, gates, manifest, run, size_of
from usina.apps.threed.mesh import measure
from usina.apps.threed.parametric.lexer import LONGEST_PROMPT

MODEL = "parametric-v1"
FILES = {"mesh.glb", "mesh.stl", "mesh.zip", "preview.png", "turntable.webp", "report.json"}
PROMPT = "2 red chairs and a wooden table 60 cm tall, pine"


def ask(folder: Path, prompt: str, channel: Channel | None = None, **params: Any) -> dict[str, Any]:
    return run(MODEL, folder, channel or Channel(), {}, prompt=prompt, **params)


def test_the_manifest_bounds_what_may_be_asked() -> None:
    told = manifest(MODEL)
    assert set(told.outputs) == FILES
    assert not told.inputs
    assert told.mode == "warm"
    schema = told.params_schema()
    assert schema["required"] == ["prompt"]
    assert schema["additionalProperties"] is False
    prompt = schema["properties"]["prompt"]
    assert (prompt["minLength"], prompt["maxLength"]) == (1, LONGEST_PROMPT)
    for example in prompt["examples"]:
        assert len(example) <= LONGEST_PROMPT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Channel]:
    folder, channel = tmp_path_factory.mktemp("made"), Channel()
    return folder / "outputs", ask(folder, PROMPT, channel, seed=3), channel


def test_a_sentence_becomes_a_model(made: tuple[Path, dict[str, Any], Channel]) -> None:
    outputs, report, channel = made
    told = {Path(message["path"]).name: message["kind"] for message in channel.of("artifact")}
    assert told == {name: spec.kind for name, spec in manifest(MODEL).outputs.items()}
    assert {path.name for path in outputs.iterdir()} == FILES
    glb = read_painted_glb((outputs / "mesh.glb").read_bytes())
    measures = measure(glb.positions, np.concatenate(glb.faces))
    assert (report["vertices"], report["faces"]) == (measures.vertices, measures.faces)
    assert report["watertight"] is measures.watertight is True
    assert report["volume_m3"] == pytest.approx(measures.volume)
    assert report["bounds_m"] == pytest.approx(measures.bounds, abs=1e-8)
    assert report["bounds_m"][1][1] == pytest.approx(2.4)
    assert (report["params"], report["inputs"]) == ({"prompt": PROMPT, "seed": 3}, {})
    assert report["warnings"] == []
    assert size_of(outputs / "preview.png") == (1200, 900)
    assert zipfile.ZipFile(outputs / "mesh.zip").testzip() is None
    steps = [message["progress"] for message in channel.of("progress")]
    assert steps == sorted(steps)
    assert [*report["seconds"]] == [
        "read",
        "build",
        "write",
        "preview",
        "turntable",
        "printing",
        "total",
    ]


def test_it_can_be_printed(made: tuple[Path, dict[str, Any], Channel]) -> None:
    """In millimetres on the bed, and four objects are no broken one."""
    outputs, report, channel = made
    stl = trimesh.load_mesh(outputs / "mesh.stl")
    width, height, depth = np.ptp(report["bounds_m"], axis=0) * 1000
    assert stl.extents == pytest.approx([width, depth, height], rel=1e-5)
    assert stl.bounds[0][2] == 0
    printing = report["printing"]
    assert printing["watertight"] is stl.is_watertight is True
    assert printing["volume_ml"] == pytest.approx(1e6 * report["volume_m3"], rel=1e-4)
    assert printing["shells"] == 4
    codes = [warning["code"] for warning in printing["warnings"]]
    assert codes == ["print_too_large", "print_overhangs", "print_little_contact"]
    assert [gate.ok for gate in gates(MODEL, channel).values()] == [True, True]


def test_what_falls_apart_is_told(tmp_path: Path) -> None:
    printing = ask(tmp_path, "box with lid and a cube")["printing"]
    (pieces,) = [each for each in printing["warnings"] if each["code"] == "print_pieces"]
    assert pieces["message"] == "Its 2 objects are 3 bodies that do not hang together."


def test_what_was_understood_is_told(made: tuple[Path, dict[str, Any], Channel]) -> None:
    chairs, table, pine = made[1]["understood"]
    assert chairs == {
        "object": "chair",
        "count": 2,
        "dimensions_m": {"height": 0.88, "width": 0.44, "depth": 0.46, "seat_height": 0.45},
        "colour": "red",
        "material": "wood",
    }
    assert (table["object"], table["dimensions_m"]["height"], table["legs"]) == ("table", 0.6, 4)
    assert (pine["object"], pine["colour"]) == ("pine", "dark green")


def test_the_same_job_gives_the_same_bytes(
    made: tuple[Path, dict[str, Any], Channel], tmp_path: Path
) -> None:
    ask(tmp_path, PROMPT, seed=3)
    for file in FILES - {"report.json"}:
        assert (tmp_path / "outputs" / file).read_bytes() == (made[0] / file).read_bytes(), file


@pytest.mark.parametrize("stage", ["build", "write", "preview"])
def test_a_cancelled_job_stops(stage: str, tmp_path: Path) -> None:
    with pytest.raises(usina_runner.Cancelled):
        ask(tmp_path, "mug and 3 gears", Channel(stage))
    assert not (tmp_path / "outputs" / "report.json").exists()


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a unicorn", "unknown_object"),
        ("sparkling mug", "unknown_words"),
        ("mug 9 m tall", "out_of_range"),
        ("\x00mug", "prompt_characters"),
        ("mug " * 10_000, "prompt_too_long"),
    ],
)
def test_a_refusal_leaves_nothing(prompt: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(usina_runner.InvalidInput) as refused:
        ask(tmp_path, prompt)
    assert refused.value.reason == reason
    assert not list((tmp_path / "outputs").iterdir())
    json.dumps(refused.value.message).encode("ascii")
