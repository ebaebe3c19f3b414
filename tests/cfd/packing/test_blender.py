"""packed-bed-blender with a real Blender: four shapes, known porosity, a script that fails."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import usina_runner
from tests.cfd.packing.program import BLENDER, manifest, run
from tests.threed.program import Channel
from tests.threed.test_validator import faults, judged
from usina.apps.cfd.app import app
from usina.apps.cfd.particles import read_particles
from usina.apps.cfd.surface import read_stl, volume_of
from usina.kernel.runners.gate import judge
from usina.kernel.runners.manifest import load_manifest
from usina.kernel.runners.probe import probe

SMALL: dict[str, Any] = {"diameter_m": 0.03, "particle_count": 12, "frames": 300, "seed": 3}


def test_spheres_lie_as_they_are_known_to(tmp_path: Path) -> None:
    report, channel = run(BLENDER, tmp_path / "job", particle_count=80, seed=1)
    assert 0.40 < report["porosity"] < 0.47
    assert 3.5 < report["coordination_mean"] < 6.5
    assert report["max_overlap"] < 0.01
    metrics = {message["name"]: message["value"] for message in channel.of("metric")}
    assert all(gate.ok for gate in judge(manifest(BLENDER).gates, metrics))
    shares = [m["progress"] for m in channel.of("progress") if m["stage"] == "bake"]
    assert shares == sorted(shares)
    assert len(shares) > 5
    told = {Path(message["path"]).name: message["kind"] for message in channel.of("artifact")}
    assert told == {name: spec.kind for name, spec in manifest(BLENDER).outputs.items()}


@pytest.mark.parametrize("shape", ["cube", "ring"])
def test_other_shapes_fall_and_stay_inside(shape: str, tmp_path: Path) -> None:
    report, _ = run(BLENDER, tmp_path / "job", particle_shape=shape, **SMALL)
    outputs = tmp_path / "job" / "outputs"
    assert report["warnings"] == [] or report["warnings"][0]["code"] == "no_core"
    assert report["max_overlap"] < 0.02
    particles = read_particles(outputs / "particles.csv")
    assert particles.shape.kind == shape
    corners = read_stl(outputs / "bed.stl")
    assert volume_of(corners) == pytest.approx(12 * particles.shape.volume_m3, rel=1e-5)
    assert faults(judged(outputs / "bed.glb")[0]) == []


def test_a_bed_that_still_moves_is_delivered_with_a_warning(tmp_path: Path) -> None:
    report, channel = run(BLENDER, tmp_path / "job", **(SMALL | {"frames": 25}))
    assert "not_settled" in [each["code"] for each in report["warnings"]]
    metrics = {message["name"]: message["value"] for message in channel.of("metric")}
    verdicts = {gate.name: gate.ok for gate in judge(manifest(BLENDER).gates, metrics)}
    assert verdicts["settled"] is False


def test_a_bed_higher_than_its_tube_is_refused(tmp_path: Path) -> None:
    with pytest.raises(usina_runner.InvalidInput, match="fit") as refused:
        run(BLENDER, tmp_path / "job", **(SMALL | {"height_m": 0.015}))
    assert refused.value.reason == "bed_too_high"


def test_an_error_in_the_script_fails_the_job(tmp_path: Path) -> None:
    """Blender ends well after an error in a script, unless it is told not to."""
    broken = tmp_path / BLENDER
    shutil.copytree(app.runners / BLENDER, broken, ignore=shutil.ignore_patterns("__pycache__"))
    script = broken / "bake.py"
    script.write_text(script.read_text().replace("ITERATIONS = 10, 40", "ITERATIONS = no_number"))
    options = ["--param", "particle_count=10", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "usina.faces.cli.main", "runner", "run", str(broken), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "blender_failed" in done.stderr
    assert "no_number" in done.stderr


def test_a_cancel_ends_blender(tmp_path: Path) -> None:
    with pytest.raises(usina_runner.Cancelled):
        run(BLENDER, tmp_path / "job", Channel(cancel_at="bake"), particle_count=100)
    assert not (tmp_path / "job" / "outputs" / "particles.csv").exists()
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert running.stdout == b""


async def test_the_probe_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_manifest(app.runners / BLENDER)
    assert (await probe(model)).reason is None
    monkeypatch.setenv("BLENDER_PATH", str(tmp_path / "nowhere"))
    said = (await probe(model)).reason
    assert said is not None
    assert "BLENDER_PATH names" in said
    assert "apt-get install blender" in said
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho Blender 2.79\n")
    old.chmod(0o755)
    monkeypatch.setenv("BLENDER_PATH", str(old))
    said = (await probe(model)).reason
    assert said is not None
    assert "3.4 or newer" in said
