"""What a customer gets of a flow: figures, gates that judge them, a page, pictures, fields."""

import base64
import re
import zipfile
from itertools import pairwise

import pytest
from PIL import Image

from tests.cfd.foam.conftest import VELOCITIES, Flow
from tests.cfd.foam.program import manifest

NAMES = {
    "velocity_m_s",
    "reynolds",
    "pressure_drop_pa",
    "pressure_gradient_pa_m",
    "ergun_pa_m",
    "eisfeld_schnitzlein_pa_m",
    "porosity_geometry",
    "porosity_mesh",
    "cells",
    "gates",
}
"""Of a row of the results; contract, section 8."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("foam"),
]


async def test_a_row_for_each_velocity_has_the_contracts_names(flow: Flow) -> None:
    rows = flow.report["results"]

    assert [row["velocity_m_s"] for row in rows] == VELOCITIES
    assert all(row.keys() >= NAMES for row in rows)
    assert [row["reynolds"] for row in rows] == pytest.approx([33.3, 133.3], rel=0.01)
    assert all(row["cells"] > 4000 for row in rows)


async def test_the_figures_hang_together(flow: Flow) -> None:
    """On so coarse a mesh gaps close: the drop is up to three times too high, and grows as it
    should."""
    slow, fast = flow.report["results"]

    for row in (slow, fast):
        assert 0.9 < row["pressure_gradient_pa_m"] / row["eisfeld_schnitzlein_pa_m"] < 4
        assert row["porosity_mesh"] < row["porosity_geometry"] == pytest.approx(0.435, abs=0.03)
        assert row["bed_gradient_pa_m"] == pytest.approx(row["pressure_gradient_pa_m"], rel=0.35)
    assert 4 < fast["pressure_drop_pa"] / slow["pressure_drop_pa"] < 16, "between v and v squared"


async def test_a_mesh_that_is_too_coarse_fails_its_gate_and_no_other_of_the_mesh(
    flow: Flow,
) -> None:
    for row in flow.report["results"]:
        gates = {gate["name"]: gate for gate in row["gates"]}
        assert all(
            set(gate) == {"name", "ok", "value", "limit", "message"} for gate in row["gates"]
        )
        assert gates["cells_per_diameter"]["ok"] is False
        assert gates["cells_per_diameter"]["value"] == pytest.approx(5.3, abs=0.4)
        assert "too coarse" in gates["cells_per_diameter"]["message"]
        for name in (
            "mesh_checks",
            "regions",
            "skewness",
            "mass_balance",
            "stationary",
            "core_length",
        ):
            assert gates[name]["ok"] is True, gates[name]
        assert gates["ergun_range"]["ok"] is False, "a tube of three particles is beyond Ergun's"
        assert gates["eisfeld_schnitzlein_range"]["ok"] is True


async def test_the_gates_of_the_job_are_those_of_the_report(flow: Flow) -> None:
    """One by name for all velocities, held to the same limit: `strict` judges what people read."""
    rows = [{gate["name"]: gate for gate in row["gates"]} for row in flow.report["results"]]
    told = {gate["name"]: gate for gate in flow.job["gates"]}

    assert told.keys() == rows[0].keys() - {"ergun_range"}, "a narrow tube is beyond Ergun's"
    for name, spec in manifest().gates.items():
        assert told[name]["ok"] is all(row[name]["ok"] for row in rows)
        bound = spec.at_least if spec.at_most is None else spec.at_most
        assert {row[name]["limit"] for row in rows} == {bound}, name
    assert told["cells_per_diameter"]["ok"] is False
    assert told["stationary"]["value"] == max(row["stationary"]["value"] for row in rows)


async def test_it_tells_what_it_does_while_it_does_it(flow: Flow) -> None:
    steps = [event["data"] for event in flow.events if event["type"] == "job.progress"]
    stages = list(dict.fromkeys(step["stage"] for step in steps))

    assert {"meshing", "solving velocity 1 of 2"} <= set(stages)
    told = {name: value for step in steps for name, value in step.get("metrics", {}).items()}
    assert {f"residual_{name}" for name in ("p", "Ux", "Uy", "Uz")} <= told.keys()
    assert {"iteration", "velocity_m_s", "pressure_drop_pa"} <= told.keys()
    assert flow.job["metrics"]["told"]["velocity_m_s"] == VELOCITIES[-1]
    assert all(one["progress"] <= other["progress"] for one, other in pairwise(steps))
    assert re.search(r"0\.05 m/s: [\d.]+ Pa, core [\d.]+ Pa/m after \d+ iterations", flow.log)


async def test_it_ran_in_parts_under_the_sandbox(flow: Flow) -> None:
    """Both slots that the model takes have their core, and Open MPI its loopback."""
    assert flow.report["parts"] == 2


async def test_residuals_are_told_by_iteration(flow: Flow) -> None:
    told = flow.report["residuals"]

    assert told["iteration"] == sorted(told["iteration"])
    assert len(told["p"]) == len(told["Uz"]) == len(told["iteration"]) <= 500
    assert told["Uz"][-1] < 0.1 * max(told["Uz"])


async def test_every_artifact_that_is_declared_is_there(flow: Flow) -> None:
    kinds = {each["name"]: each["kind"] for each in flow.job["artifacts"]}

    assert kinds == {name: spec.kind for name, spec in manifest().outputs.items()} | {
        "log.txt": "log"
    }
    sizes = {each["name"]: each["size_bytes"] for each in flow.job["artifacts"]}
    assert sizes["slice.vtp"] < 1_000_000


async def test_pictures_show_something(flow: Flow) -> None:
    for name in ("slice.png", "streamlines.png", "pressure.png", "pressure_drop.png"):
        with Image.open(flow.folder / name) as image:
            colours = image.convert("RGB").getcolors(1 << 24) or []
        assert len(colours) > 50, f"{name} is all but empty"


async def test_the_slice_has_pressure_and_velocity_in_single_precision(flow: Flow) -> None:
    text = (flow.folder / "slice.vtp").read_bytes()

    for name in (b"pressure_pa", b"velocity_m_s"):
        array = re.search(rb'<DataArray[^>]*Name="' + name + rb'"[^>]*>', text)
        assert array is not None
        assert b'type="Float32"' in array[0]


async def test_the_page_is_whole_and_has_every_picture(flow: Flow) -> None:
    page = (flow.folder / "report.html").read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)

    assert len(pictures) == 5
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in pictures)
    assert "<script" not in page
    assert "Eisfeld" in page


async def test_nothing_of_the_work_is_left(flow: Flow, platform: object) -> None:
    with zipfile.ZipFile(flow.folder / "case.zip") as archive:
        assert not any("processor" in name or "polyMesh" in name for name in archive.namelist())
