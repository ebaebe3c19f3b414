"""A case is written from numbers: nothing of a caller's words gets into it."""

import dataclasses
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cfd.foam.program import COLUMN, FOLDER, Channel, defaults, manifest, stand_in, workshop
from usina.apps.cfd.foam.case import Control, write_case, write_control
from usina.apps.cfd.foam.dictionary import Quoted, Word, render
from usina.apps.cfd.foam.installation import NotInstalled, find_installation
from usina.apps.cfd.foam.layout import lay_out
from usina.apps.cfd.foam.mesh import parts_for
from usina.apps.cfd.foam.option import Fluid, MeshOption, Option, read_option
from usina.apps.cfd.particles import read_particles, spheres
from usina.kernel.errors import Invalid
from usina.kernel.runners.form import Form
from usina_runner import InvalidInput

HOSTILE = [
    '#codeStream { code #{ system("id"); #}; }',
    '#include "/etc/passwd"',
    "$HOME",
    "0.1); #calc",
    "a;b",
    "a b",
    "{}",
    '"',
    "",
]
PLACES = [
    "velocity_m_s",
    "diameter_m",
    "max_iterations",
    "fluid",
    "mesh",
    "in_fluid",
    "in_list",
]
BED = read_particles(COLUMN)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_word_is_no_word_of_a_dictionary(text: str) -> None:
    for kind in (Word, Quoted):
        with pytest.raises(ValueError, match="is no word"):
            kind(text)
    for content in ({text: 1}, {"a": {text: 1}}):
        with pytest.raises(ValueError, match="is no key"):
            render("dictionary", "x", content)
    with pytest.raises(TypeError):
        render("dictionary", "x", {"a": text})


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "place",
    ["velocity_m_s", "diameter_m", "max_iterations", "fluid", "mesh", "in_fluid", "in_list"],
)
def test_a_hostile_parameter_is_refused_at_submit_and_by_the_program(place: str, text: str) -> None:
    params: dict[str, Any] = {
        "in_fluid": {"fluid": {"density_kg_m3": text}},
        "in_list": {"velocity_m_s": [0.1, text]},
    }.get(place, {place: text})

    with pytest.raises(Invalid):
        Form.of(manifest()).fill(params)
    assert set(kinds(params)) <= {float, int}


def kinds(params: dict[str, Any]) -> list[type]:
    """Of all that the program would take over, none when it refuses."""
    try:
        option = read_option(defaults() | params)
    except (ValueError, TypeError):
        return []
    plain = dataclasses.asdict(option)
    parts = [*plain["fluid"].values(), *plain["mesh"].values(), *plain["velocity_m_s"]]
    return [type(part) for part in (*parts, option.max_iterations, option.silence_seconds)]


def test_no_file_of_a_case_can_run_or_read_anything(tmp_path: Path) -> None:
    option = Option(fluid=Fluid(1.0, 1e-5), velocity_m_s=(1e-6, 100.0))
    write_case(tmp_path, lay_out(BED, option), option.fluid, 0.1)
    write_control(tmp_path, Control(100))

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 9
    for path in files:
        text = path.read_text("ascii")
        assert not set("#$`\\") & set(text), path
        assert "libs" not in text.replace('libs ("libfieldFunctionObjects.so")', ""), path


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        render("dictionary", "x", {"a": value})


def test_the_manifest_and_the_program_have_the_same_defaults() -> None:
    told = defaults()

    assert read_option({}) == read_option(told) == Option()
    assert told["fluid"] == dataclasses.asdict(Fluid())
    assert told["mesh"] == dataclasses.asdict(MeshOption())


def test_a_bed_that_does_not_fit_is_refused_in_words() -> None:
    refusals = {
        "tube_too_narrow": (BED, Option(diameter_m=0.0147)),
        "mesh_too_large": (BED, Option(mesh=MeshOption(32, 3))),
        "bed_below_floor": (spheres(0.01, np.array([[0.0, 0.0, 0.0047]])), Option()),
    }
    for reason, (bed, option) in refusals.items():
        with pytest.raises(InvalidInput) as raised:
            lay_out(bed, option)
        assert raised.value.reason == reason
        assert len(raised.value.message) > 30


def test_particles_made_smaller_leave_more_room() -> None:
    plain = lay_out(BED, Option())
    smaller = lay_out(BED, Option(mesh=MeshOption(shrink=0.005)))

    assert smaller.porosity > plain.porosity
    solid = (1 - smaller.porosity) / (1 - plain.porosity)
    assert solid == pytest.approx(0.995**3)


def test_a_small_mesh_is_not_cut_into_many_parts() -> None:
    layout = lay_out(BED, Option())

    assert parts_for(layout, 1) == 1
    assert parts_for(layout, 64) == layout.estimated_cells // 5000


def test_what_is_missing_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="apt-get install openfoam"):
        find_installation({"WM_PROJECT_DIR": str(tmp_path)})
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "controlDict").touch()
    with pytest.raises(NotInstalled, match="lacks blockMesh, snappyHexMesh"):
        find_installation({"WM_PROJECT_DIR": str(tmp_path), "PATH": str(tmp_path)})

    probe = subprocess.run(
        [sys.executable, "probe.py"],
        cwd=FOLDER,
        env={**os.environ, "WM_PROJECT_DIR": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert probe.returncode == 1
    assert "There is no OpenFOAM at /nowhere" in probe.stderr


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Using: OpenFOAM-12 (see https://openfoam.org)", "version 12 of openfoam.org"),
        ("Using: OpenFOAM-v1806 (1806) - visit www.openfoam.com", "v1806, too old"),
        ("Using: OpenFOAM-v2312 (2312) - visit www.openfoam.com\nArch: scalar=32", "single precis"),
        ("Using: OpenFOAM-v2412 (2412) - visit www.openfoam.com\nArch: label=64;scalar=64", ""),
        ("foam extend 5.0", "does not say its version .foam extend 5.0."),
    ],
)
def test_a_version_that_is_not_written_for_is_told_before_anything_is_run(
    tmp_path: Path, says: str, words: str
) -> None:
    place = stand_in(tmp_path, "true")
    (place / "platforms" / "linux" / "bin" / "blockMesh").write_text(f"#!/bin/sh\necho '{says}'\n")
    (place / "platforms" / "linux" / "bin" / "blockMesh").chmod(0o755)
    told = {"WM_PROJECT_DIR": str(place), "PATH": os.environ["PATH"]}
    if words:
        with pytest.raises(NotInstalled, match=words):
            find_installation(told)
    else:
        found = find_installation(told)
        assert (found.version, found.long_labels) == ("v2412", True)


def test_the_packed_case_runs_by_itself(
    column: tuple[Path, dict[str, Any], Channel], tmp_path: Path
) -> None:
    """In a fresh folder, without anything of ours, to the same pressure drop."""
    outputs, report, _ = column
    with zipfile.ZipFile(outputs / "case.zip") as archive:
        archive.extractall(tmp_path)
        modes = {each.filename: each.external_attr >> 16 for each in archive.infolist()}
    assert modes["Allrun"] & stat.S_IXUSR
    (tmp_path / "Allrun").chmod(modes["Allrun"])

    ran = subprocess.run(
        [tmp_path / "Allrun"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert ran.returncode == 0, ran.stderr
    told = float(ran.stdout.rpartition("=")[2])
    drop = report["results"][0]["pressure_drop_pa"]
    assert told * 1.2 == pytest.approx(drop, rel=0.005)
    assert workshop(tmp_path).log_of("checkMesh").read_text().count("Mesh OK.") == 1
