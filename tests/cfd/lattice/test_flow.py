"""bed-flow-lbm in this process: what it tells, refuses and keeps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista

from tests.cfd.lattice.bed import TUBE_M, as_csv, centres
from tests.cfd.lattice.program import COARSE, job_in, manifest, run
from tests.threed.program import Channel
from usina.apps.cfd.lattice.checkpoint import Keeper
from usina.apps.cfd.lattice.domain import connect
from usina.apps.cfd.lattice.flow import flow_through
from usina.apps.cfd.lattice.known import STOREYS_POROSITY
from usina.apps.cfd.lattice.question import MEMORY_BYTES
from usina.apps.cfd.lattice.stokes import Settling, Stokes, settle
from usina.apps.cfd.lattice.voxel import voxelize
from usina.apps.cfd.particles import Particles, Shape
from usina.apps.cfd.porosity import porosity_between
from usina_runner import Cancelled, InvalidInput


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, Channel]:
    """The report, the outputs and the messages for a bed of 105 spheres at two velocities."""
    folder, channel = tmp_path_factory.mktemp("flow"), Channel()
    mesh = {"resolution": 12, "length_diameters": 5}
    report = run(folder, as_csv(centres()), channel, velocity_m_s=[0.001, 0.1], mesh=mesh)
    return report, folder / "outputs", channel


def gates(result: dict[str, Any]) -> dict[str, bool]:
    return {gate["name"]: gate["ok"] for gate in result["gates"]}


def test_the_results_have_the_names_of_the_contract(told: Any) -> None:
    slow, fast = told[0]["results"]
    for result in (slow, fast):
        assert {
            *("velocity_m_s", "reynolds", "pressure_drop_pa", "pressure_gradient_pa_m"),
            *("ergun_pa_m", "eisfeld_schnitzlein_pa_m", "porosity_geometry", "porosity_mesh"),
            *("cells", "gates"),
        } <= result.keys()
        assert all(
            gate.keys() == {"name", "ok", "value", "limit", "message"} for gate in result["gates"]
        )
    assert slow["reynolds"] == pytest.approx(1.2 * 0.001 * 0.01 / 1.8e-5)
    assert slow["porosity_geometry"] == pytest.approx(STOREYS_POROSITY, abs=1e-9)
    assert slow["porosity_mesh"] == pytest.approx(STOREYS_POROSITY, abs=0.01)
    assert slow["cells"] == pytest.approx(np.pi / 4 * 36**2 * 60 * STOREYS_POROSITY, rel=0.03)
    assert told[0]["tube_diameter_m"] == pytest.approx(TUBE_M)
    assert told[0]["particle_count"] == 105


def test_a_regular_bed_resists_as_the_correlation_with_a_wall_says(told: Any) -> None:
    slow = told[0]["results"][0]
    assert slow["pressure_gradient_pa_m"] == pytest.approx(
        slow["eisfeld_schnitzlein_pa_m"], rel=0.2
    )
    assert slow["viscous_pa_m"] == pytest.approx(1.8e-5 * 0.001 / told[0]["permeability_m2"])
    assert slow["pressure_drop_pa"] == pytest.approx(0.15 * slow["pressure_gradient_pa_m"])
    assert told[0]["permeability_darcy"] == pytest.approx(told[0]["permeability_m2"] / 9.869233e-13)


def test_what_was_not_computed_is_said_in_results_gates_and_page(told: Any) -> None:
    report, outputs, _ = told
    slow, fast = report["results"]
    assert all(gates(slow).values())
    assert [name for name, ok in gates(fast).items() if not ok] == ["darcy"]
    assert fast["inertial_pa_m"] > 0.3 * fast["viscous_pa_m"]
    assert "not computed" in fast["inertial_source"]
    assert [warning["code"] for warning in report["warnings"]] == ["gate_darcy"]
    page = (outputs / "report.html").read_text()
    assert "a correlation, not computed" in page
    assert "At 0.1 m/s inertia counts" in page


def test_every_file_is_there_and_the_field_keeps_mass(told: Any) -> None:
    report, outputs, channel = told
    named = {Path(message["path"]).name: message["kind"] for message in channel.of("artifact")}
    needed = {name: spec.kind for name, spec in manifest().outputs.items() if spec.required}
    assert named == needed
    assert {path.name for path in outputs.iterdir()} == named.keys()
    field = pyvista.read(outputs / "velocity.vti")
    shape = field.dimensions[::-1]
    velocity = np.asarray(field["velocity"]).reshape(*shape, 3)
    fluid = np.asarray(field["fluid"]).reshape(shape).astype(bool)
    assert fluid.sum() == report["results"][0]["cells"]
    assert not velocity[~fluid].any()
    flow = velocity[..., 2].sum(axis=(1, 2)) * report["voxel_m"] ** 2 / (np.pi * TUBE_M**2 / 4)
    assert flow == pytest.approx(np.ones(len(flow)), abs=0.01)
    assert field.origin[2] - report["voxel_m"] / 2 == pytest.approx(report["slice_m"][0])


def test_progress_follows_the_flow_and_its_residual_is_live(told: Any) -> None:
    steps = [message["progress"] for message in told[2].of("progress")]
    assert steps == sorted(steps)
    left = [each["value"] for each in told[2].of("metric") if each["name"] == "residual_flow"]
    assert left[0] == 1
    assert left[-1] <= 1e-4
    assert len(left) > 3


def test_the_same_bed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name, as_csv(centres(6)))
    for path in (tmp_path / "one" / "outputs").iterdir():
        if path.name != "report.json":
            assert path.read_bytes() == (tmp_path / "two" / "outputs" / path.name).read_bytes()


def test_a_wider_tube_is_used_where_it_is_given(tmp_path: Path) -> None:
    report = run(tmp_path, as_csv(centres(6)), diameter_m=0.036)
    assert report["tube_diameter_m"] == 0.036
    assert report["results"][0]["porosity_geometry"] == pytest.approx(
        1 - (1 - STOREYS_POROSITY) * (0.03 / 0.036) ** 2, abs=1e-6
    )


def doubled() -> np.ndarray:
    points = centres(6)
    points[9] = points[8] + 0.003
    return points


def plates() -> bytes:
    """Discs as wide as their tube."""
    rows = ["x_m,y_m,z_m,diameter_m,shape,length_m,inner_diameter_m,qw,qx,qy,qz"]
    rows += [f"0,0,{0.005 + level / 100},0.03,cylinder,0.005,0,1,0,0,0" for level in range(16)]
    return "\n".join(rows).encode()


BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "empty": (b"", {}, "bed_columns"),
    "header alone": (b"x_m,y_m,z_m,diameter_m\n", {}, "bed_empty"),
    "not a number": (as_csv(centres(6)) + b"nan,0,0,0.01\n", {}, "bed_number"),
    "overlapping": (as_csv(doubled()), {}, "particles_overlap"),
    "no core": (as_csv(centres(3)), {}, "bed_too_short"),
    "one sphere": (as_csv(centres(1)[:1]), {}, "bed_too_short"),
    "too fine": (
        as_csv(centres(60)),
        {"mesh": {"resolution": 64, "length_diameters": 50}},
        "resolution_too_high",
    ),
    "too fast": (as_csv(centres(6)), {"velocity_m_s": [0.1, 90.0]}, "velocity_beyond_range"),
    "too narrow": (as_csv(centres(6)), {"diameter_m": 0.02}, "tube_too_narrow"),
    "closed": (plates(), {}, "bed_closed"),
    "hardly a bed": (as_csv(centres(6)), {"diameter_m": 2.0}, "bed_porosity"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_be_used_is_refused_in_words(name: str, tmp_path: Path) -> None:
    bed, params, reason = BAD[name]
    with pytest.raises(InvalidInput) as refused:
        run(tmp_path, bed, **params)
    assert refused.value.reason == reason
    assert not list((tmp_path / "outputs").iterdir())


def test_a_refusal_for_memory_says_what_fits(tmp_path: Path) -> None:
    bed = as_csv(centres(60))
    with pytest.raises(InvalidInput, match=r"A resolution of \d+ fits") as refused:
        run(tmp_path / "fine", bed, mesh={"resolution": 64, "length_diameters": 50})
    finest = int(refused.value.message.split("A resolution of ")[1].split(" ")[0])
    assert 16 < finest < 64
    assert manifest().resources.memory_bytes == MEMORY_BYTES


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    bed = as_csv(centres(6)).replace(b"diameter_m", b"diameter_m,<script>alert(1)</script>")
    with pytest.raises(InvalidInput) as refused:
        run(tmp_path, bed)
    assert refused.value.reason == "bed_columns"


def test_a_cancel_is_heard_in_the_midst_of_the_flow(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(tmp_path, as_csv(centres()), Channel(cancel_at="flow"))


def test_an_attempt_goes_on_where_the_one_before_was_cut_off(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", as_csv(centres(8)))
    channel = Channel()
    job = job_in(tmp_path / "cut", as_csv(centres(8)), channel)
    kept = _keep_midway(job)
    again = job_in(tmp_path / "again", as_csv(centres(8)), channel, kept)
    flow_through(again)

    report = json.loads((tmp_path / "again" / "outputs" / "report.json").read_text())
    assert report["permeability_m2"] == whole["permeability_m2"]
    assert report["steps"] == whole["steps"]
    assert any("Going on from step 120" in each["message"] for each in channel.of("log"))


def _keep_midway(job: Any) -> Path:
    """The checkpoint of a job that is killed after 120 steps."""
    from unittest.mock import patch

    class Killed(Exception):
        pass

    def look(keeper: Keeper) -> None:
        if keeper.flow.steps == 120:
            keeper.keep()
            raise Killed

    with patch.object(Keeper, "keep_now_and_then", look), pytest.raises(Killed):
        flow_through(job)
    return job.outputs / "state-120.npz"


@pytest.mark.parametrize("damage", ["none", "another", "half", "nothing"])
def test_a_checkpoint_that_does_not_fit_is_left_alone(damage: str, tmp_path: Path) -> None:
    flow = Stokes(connect(np.random.default_rng(2).random((6, 8, 9)) > 0.3, "mirrored"))
    flow.advance(40)
    job = job_in(tmp_path / "cut", as_csv(centres(8)), Channel())
    Keeper(job, flow, Settling([1.0])).keep()
    kept = job.outputs / "state-40.npz"
    if damage == "half":
        kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    if damage == "nothing":
        kept.unlink()
    again = Stokes(flow.domain, viscosity=1 / 24 if damage == "another" else 1 / 6)
    next_job = job_in(tmp_path / "again", as_csv(centres(8)), Channel(), kept)

    assert Keeper(next_job, again, Settling()).resume() == (damage == "none")
    assert again.steps == (40 if damage == "none" else 0)
    assert again.slots.any() == (damage == "none")


TURN = np.array([0.8, 0.36, 0.48, 0.0])


@pytest.mark.parametrize(
    "shape",
    [
        Shape("cube", 0.01),
        Shape("cylinder", 0.01, 0.014),
        Shape("ring", 0.012, 0.012, 0.006),
        Shape("sphere", 0.01),
    ],
    ids=lambda shape: shape.kind,
)
def test_every_shape_becomes_voxels_of_its_own_volume_and_turned(shape: Shape) -> None:
    places = np.array([[0.0, 0.0, 0.02], [0.004, -0.004, 0.04]])
    bed = Particles(shape, places, np.stack([TURN, TURN[[1, 0, 3, 2]]]))
    grid = voxelize(bed, 0.06, 0.0, 0.06, 0.0006)

    exact = porosity_between(bed, 0.06, 0.0, 0.06).value
    inside = grid.from_axis() < 0.03
    assert grid.fluid[:, inside].mean() == pytest.approx(exact, abs=2e-3 * (1 - exact) + 2e-4)
    solid = np.argwhere(~grid.fluid & inside)
    middle = np.array([grid.across()[solid[:, 2]], grid.across()[solid[:, 1]]]).mean(axis=1)
    assert middle == pytest.approx([0.002, -0.002], abs=2e-4)


def test_a_bed_of_cubes_flows_and_is_told_by_its_sauter_diameter(tmp_path: Path) -> None:
    rows = ["x_m,y_m,z_m,diameter_m,shape,length_m,inner_diameter_m,qw,qx,qy,qz"]
    for x, y, z in centres(6):
        rows.append(f"{x},{y},{z},0.007,cube,0,0,1,0,0,0")
    report = run(tmp_path, "\n".join(rows).encode(), mesh=COARSE)
    assert report["particle_diameter_m"] == pytest.approx(0.007)
    assert report["permeability_m2"] > 0


def test_a_flow_that_is_not_steady_in_time_says_so() -> None:
    flow, settling = Stokes(connect(np.ones((2, 2, 40), bool), "periodic")), Settling()
    assert not settle(flow, settling, tolerance=1e-9, most_steps=80)
    assert settling.left() == 1.0
