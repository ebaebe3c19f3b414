"""packed-bed-v1 as the platform starts it: files, report, gates, cancel."""

import csv
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from PIL import Image

import usina_runner
from tests.cfd.packing.program import BLENDER, V1, manifest, run
from tests.threed.program import Channel
from tests.threed.test_validator import faults, judged
from usina.apps.cfd.packing.order import MOST_COUNT
from usina.apps.cfd.particles import read_particles
from usina.apps.cfd.surface import read_stl, volume_of
from usina.kernel.runners.gate import judge


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Channel]:
    folder = tmp_path_factory.mktemp("made") / "job"
    report, channel = run(V1, folder, particle_count=150, seed=4, preview_pixels=240)
    return folder / "outputs", report, channel


def test_all_files_are_there_and_told(made: tuple[Path, dict[str, Any], Channel]) -> None:
    outputs, report, channel = made
    told = {Path(message["path"]).name: message["kind"] for message in channel.of("artifact")}
    assert told == {name: spec.kind for name, spec in manifest(V1).outputs.items()}
    assert {path.name for path in outputs.iterdir()} == set(told)
    assert {name for names in report["profile"].values() for name in names} <= set(told)
    stages = [message["stage"] for message in channel.of("progress")]
    assert [*dict.fromkeys(stages)] == ["pack", "measure", "write", "preview"]
    shares = [message["progress"] for message in channel.of("progress")]
    assert shares == sorted(shares)


def test_the_files_hold_the_bed_that_the_report_tells_of(
    made: tuple[Path, dict[str, Any], Channel],
) -> None:
    outputs, report, _ = made
    particles = read_particles(outputs / "particles.csv")
    assert len(particles) == report["particle_count"] == 150
    assert 0.42 < report["porosity"] < 0.45 < report["porosity_bulk"]
    assert 4 < report["coordination_mean"] < 6.5
    assert sum(report["coordination"]) == 150
    assert report["max_overlap"] < 1e-3
    corners = read_stl(outputs / "bed.stl")
    assert len(corners) == report["stl_triangles"]
    assert volume_of(corners) == pytest.approx(150 * particles.shape.volume_m3, rel=1e-5)
    low, high = report["core_m"]
    rows = [*csv.DictReader((outputs / "radial-profile.csv").read_text().splitlines())]
    away = np.array([float(row["wall_distance_m"]) for row in rows])
    porosity = np.array([float(row["porosity"]) for row in rows])
    assert np.average(porosity, weights=0.025 - away) == pytest.approx(
        report["porosity"], abs=0.003
    )
    assert high - low > 3 * 0.01


def test_the_gates_look_at_what_is_told(made: tuple[Path, dict[str, Any], Channel]) -> None:
    _, _, channel = made
    metrics = {message["name"]: message["value"] for message in channel.of("metric")}
    gates = judge(manifest(V1).gates, metrics)
    assert [gate.ok for gate in gates] == [True]


def test_the_model_is_valid_and_small(made: tuple[Path, dict[str, Any], Channel]) -> None:
    outputs, _, _ = made
    (report,) = judged(outputs / "bed.glb")
    assert faults(report) == []
    assert (outputs / "bed.glb").stat().st_size < 40_000
    assert report["info"]["totalTriangleCount"] > 0


def test_the_picture_shows_coloured_particles_on_a_bright_ground(
    made: tuple[Path, dict[str, Any], Channel],
) -> None:
    outputs, _, _ = made
    with Image.open(outputs / "preview.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (240, 240, 3)
    vivid = pixels.max(axis=2) - pixels.min(axis=2) > 60
    assert 0.05 < vivid.mean() < 0.5
    assert vivid[:, :20].sum() == 0
    assert pixels[:20].mean() > 200


@pytest.mark.parametrize("model", [V1, BLENDER])
@pytest.mark.parametrize(
    "params",
    [
        {"diameter_m": 1e300},
        {"diameter_m": -1},
        {"diameter_m": 0.005},
        {"particle_diameter_m": 0},
        {"particle_count": 9},
        {"particle_count": MOST_COUNT + 1},
        {"particle_count": 50.5},
        {"particle_shape": "pyramid"},
        {"seed": -1},
        {"unknown": 1},
        {"height_m": "NaN"},
        {"preview_pixels": 10**9},
    ],
)
def test_the_schema_refuses_what_is_no_bed(model: str, params: dict[str, Any]) -> None:
    schema = jsonschema_rs.validator_for(manifest(model).params_schema())
    assert schema.is_valid({"diameter_m": 0.05})
    assert not schema.is_valid(params)


def test_other_shapes_are_refused_with_the_model_that_takes_them(tmp_path: Path) -> None:
    with pytest.raises(usina_runner.InvalidInput, match="packed-bed-blender") as refused:
        run(V1, tmp_path / "job", particle_shape="cube")
    assert refused.value.reason == "shape_not_served"


def test_a_flat_bed_has_no_core_and_says_so(tmp_path: Path) -> None:
    report, channel = run(V1, tmp_path / "job", particle_count=20)
    assert report["porosity"] is None
    assert report["porosity_bulk"] > 0.4
    assert [each["code"] for each in report["warnings"]] == ["no_core"]
    assert any(message["name"] == "porosity" for message in channel.of("metric"))


@pytest.mark.parametrize("stage", ["pack", "measure", "write", "preview"])
def test_a_cancel_is_heard_in_every_stage(stage: str, tmp_path: Path) -> None:
    with pytest.raises(usina_runner.Cancelled):
        run(V1, tmp_path / "job", Channel(cancel_at=stage), particle_count=60, sweeps=50)
    assert not (tmp_path / "job" / "outputs" / "report.json").exists()
