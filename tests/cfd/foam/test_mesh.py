"""A mesh is made once: what another job takes it, and what it refuses to take."""

import json
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cfd.foam.program import COARSEST, COLUMN, FOLDER, Channel, prepare, run
from usina.apps.cfd.foam.layout import lay_out
from usina.apps.cfd.foam.mesh_file import Subject, read_mesh
from usina.apps.cfd.foam.option import read_option
from usina.apps.cfd.particles import read_particles
from usina_runner import InvalidInput

pytestmark = pytest.mark.xdist_group("foam")
Column = tuple[Path, dict[str, Any], Channel]


def subject(bed: Path = COLUMN, **params: Any) -> Subject:
    option = read_option({"mesh": COARSEST} | params)
    return Subject.of(bed, lay_out(read_particles(bed), option))


def changed(archive: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(archive) as read:
        content = {name: read.read(name) for name in read.namelist()}
    change(content)
    with zipfile.ZipFile(target, "w") as written:
        for name, data in content.items():
            written.writestr(name, data)
    return target


def retold(content: dict[str, bytes], **told: Any) -> None:
    content["mesh.json"] = json.dumps(json.loads(content["mesh.json"]) | told).encode()


def test_a_flow_of_another_fluid_takes_the_mesh_and_finds_what_one_that_meshes_finds(
    column: Column, tmp_path: Path
) -> None:
    """At the same Reynolds number, so that the figures can be compared: a friction factor."""
    outputs, made, _ = column
    channel = Channel()
    water = {"fluid": {"density_kg_m3": 1000.0, "viscosity_pa_s": 1e-3}, "velocity_m_s": [1 / 150]}
    job = prepare(
        tmp_path / "job",
        COLUMN.read_bytes(),
        channel,
        made=outputs / "mesh.zip",
        mesh=COARSEST,
        **water,
    )
    report = run(job)

    stages = {message["stage"] for message in channel.of("progress")}
    assert "taking the mesh" in stages
    assert "meshing" not in stages
    source = report["mesh_source"]
    assert (source["job_id"], source["reused"]) == ("1", True)
    assert source["meshing_seconds"] == made["mesh_source"]["meshing_seconds"] > 0
    assert "taken from job 1" in (job.outputs / "report.html").read_text()
    assert report["mesh"] == made["mesh"]
    assert not (job.outputs / "mesh.zip").exists(), "it is there already"
    air, mine = made["results"][0], report["results"][0]
    assert mine["reynolds"] == pytest.approx(air["reynolds"], rel=1e-6)
    friction = [
        row["pressure_gradient_pa_m"] / (density * row["velocity_m_s"] ** 2)
        for row, density in ((air, 1.2), (mine, 1000.0))
    ]
    assert friction[0] == pytest.approx(friction[1], rel=1e-3)


def test_a_mesh_of_another_openfoam_is_made_anew(column: Column, tmp_path: Path) -> None:
    given = changed(
        column[0] / "mesh.zip",
        tmp_path / "mesh.zip",
        lambda content: retold(content, openfoam="v9912"),
    )
    channel = Channel()
    job = prepare(tmp_path / "job", COLUMN.read_bytes(), channel, made=given, mesh=COARSEST)
    report = run(job)

    assert report["mesh_source"]["reused"] is False
    assert "made by OpenFOAM v9912" in channel.of("log")[0]["message"]
    assert read_mesh(job.outputs / "mesh.zip", subject()).openfoam.startswith("v")


def test_a_mesh_is_of_one_bed_one_tube_and_one_parameter(column: Column, tmp_path: Path) -> None:
    given = column[0] / "mesh.zip"
    other = tmp_path / "other.csv"
    other.write_text(COLUMN.read_text() + "\n")
    for wanted, words in (
        (subject(bed=other), "another bed"),
        (subject(diameter_m=0.02), "another tube"),
        (subject(mesh=COARSEST | {"shrink": 0.001}), "parameter mesh"),
    ):
        with pytest.raises(InvalidInput, match=words) as refused:
            read_mesh(given, wanted)
        assert refused.value.reason == "mesh_of_another_bed"
    assert read_mesh(given, subject()).quality.cells == read_mesh(given, subject()).mesh.cells


def shorten(content: dict[str, bytes]) -> None:
    content["owner"] = content["owner"][:-4]


def swap(content: dict[str, bytes]) -> None:
    """A list that is not what its hash says."""
    content["corners"] = content["corners"][::-1]


def far(content: dict[str, bytes]) -> None:
    """A whole mesh of something else, with true hashes."""
    points = 10 * np.frombuffer(content["points"], "<f8")
    content["points"] = points.tobytes()
    rehash(content, "points")


def loose(content: dict[str, bytes]) -> None:
    """Corners that are no points, with true hashes: what would send OpenFOAM astray."""
    corners = np.frombuffer(content["corners"], "<i4") + 1_000_000
    content["corners"] = corners.astype("<i4").tobytes()
    rehash(content, "corners")


def rehash(content: dict[str, bytes], name: str) -> None:
    import hashlib

    told = json.loads(content["mesh.json"])["sha256"]
    retold(content, sha256=told | {name: hashlib.sha256(content[name]).hexdigest()})


@pytest.mark.parametrize(
    "change",
    [
        shorten,
        swap,
        far,
        loose,
        lambda content: content.pop("faces", None) or content.pop("starts"),
        lambda content: retold(content, format=99),
        lambda content: retold(content, patches=[]),
        lambda content: retold(content, quality={"cells": "many"}),
        lambda content: content.update({"mesh.json": b"[" * 60_000}),
    ],
)
def test_a_broken_mesh_is_refused_before_a_file_is_written(
    column: Column, tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    given = changed(column[0] / "mesh.zip", tmp_path / "mesh.zip", change)
    with pytest.raises(InvalidInput) as refused:
        read_mesh(given, subject())
    assert refused.value.reason == "mesh_broken"


def test_half_a_mesh_is_none(column: Column, tmp_path: Path) -> None:
    whole = (column[0] / "mesh.zip").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        half = tmp_path / "half.zip"
        half.write_bytes(whole[:size])
        with pytest.raises(InvalidInput) as refused:
            read_mesh(half, subject())
        assert refused.value.reason == "mesh_broken"


def test_the_mesh_of_a_bed_is_made_by_a_program_of_its_own(tmp_path: Path) -> None:
    folder = FOLDER.with_name("bed-mesh-openfoam")
    channel = Channel()
    job = prepare(tmp_path / "job", COLUMN.read_bytes(), channel, mesh=COARSEST)
    runpy.run_path(str(folder / "run.py"))["mesh_bed"](job)

    told = json.loads((job.outputs / "report.json").read_text())
    made = read_mesh(job.outputs / "mesh.zip", subject())
    assert told["mesh"]["cells"] == made.mesh.cells
    gates = {gate["name"]: gate["ok"] for gate in told["gates"]}
    assert gates == {
        "cells_per_diameter": False,
        "mesh_checks": True,
        "non_orthogonality": True,
        "skewness": True,
        "regions": True,
    }
