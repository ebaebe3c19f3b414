"""Nothing that is no bed, no simulation and no sweep gets in; each refusal names its place."""

from typing import Any

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab
from usina.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = [
    "#codeStream { }",
    '#include "/etc/passwd"',
    "$include",
    'a"b',
    "a\nb",
    "a\0b",
    "a\\b",
    "a;b",
]
BEDS: list[tuple[str, Any]] = [
    *(("/name", text) for text in [*HOSTILE, "", " ", "x" * 201, "\u202e", 5, None]),
    *(("/material", text) for text in [*HOSTILE, "x" * 65]),
    *(
        ("/diameter_m", value)
        for value in (0, -1, 0.0099, 1.001, 1e300, 1e-300, "0.05", True, None)
    ),
    *(("/height_m", value) for value in (0, -0.1, 0.0099, 2.001, "\u22121")),
    *(("/particle_diameter_m", value) for value in (0, -1, 0.00099, 0.11, 1e300, 0.05, 0.06)),
    *(("/particle_count", value) for value in (0, -1, 9, 10_001, 10**9, 10.0, "10", 9999)),
    *(("/packing_height_m", value) for value in (0, -1, 2.1, 0.11)),
    *(("/target_porosity", value) for value in (0, 1, -0.1, 1.5, 1e300)),
    *(("/seed", value) for value in (-1, 2**31, 1.5, 10**30)),
    *(("/particle_shape", value) for value in ("prism", "Sphere", 1)),
    *(("/method", value) for value in ("magic", "rigid_body")),
    *(("/generator", value) for value in ("nothing-v1", "echo-v1", "flow-v1", "", "../x", 1)),
    ("/packing/method", "hexagonal_3d"),
    *(("/packing/gravity_m_s2", value) for value in (1e300, [0, 0, 0, -9.81], "9,81")),
    *(("/packing/max_time_s", value) for value in (0, -1, 3601)),
    *(("/packing/max_placement_attempts", value) for value in (0, 500_001)),
    *(("/particles/friction", value) for value in (-0.1, 11, 1.5)),
    *(("/export/formats", value) for value in ([], ["exe"], ["stl"] * 5, "stl")),
    *(("/cfd/convergence_criteria", value) for value in (0, 2, -1e-4)),
    *(("/cfd/fluid_viscosity_pa_s", value) for value in (0, -1, 1e5)),
    *(("/lids/top_type", value) for value in ("open", 1)),
    ("/lids", []),
    *((f"/{name}", 1) for name in ("status", "porosity", "job_id", "id", "organization_id")),
    ("/cfd/unknown", 1),
]
SIMULATIONS: list[tuple[str, Any]] = [
    *(("/solver", value) for value in ("nothing-v1", "echo-v1", "spheres-v1", "", 1)),
    *(("/velocity_m_s", value) for value in (0, -1, 1e300, "1", [], [0], [1] * 65, {})),
    *(("/fluid/density_kg_m3", value) for value in (0, -1, 1e300, "air")),
    *(("/fluid/viscosity_pa_s", value) for value in (0, -1, 1e300)),
    ("/fluid", "water"),
    *(("/mesh/cells_per_diameter", value) for value in (0, 10**12, "8", 8.5)),
    ("/mesh", {str(n): n for n in range(65)}),
    ("/mesh", {"unknown": 1}),
    ("/bed_id", "x"),
]
SWEEPS: list[tuple[str, Any]] = [
    ("/over", {}),
    ("/over", {"seed": []}),
    ("/over", {"seed": list(range(257))}),
    ("/over", {"seed": list(range(17)), "velocity_m_s": [0.1 * n for n in range(1, 17)]}),
    ("/over", {str(n): [1] for n in range(7)}),
    ("/over", 1),
    ("/over/name", ["a"]),
    ("/over/unknown", [1]),
    ("/over/seed", [1, 1]),
    ("/over/seed/1", [1, -1]),
    ("/over/diameter_m/1", [0.05, 1e300]),
    ("/over/particle_diameter_m/1", [0.005, 0.06]),
    ("/over/velocity_m_s/1", [1, 0]),
    ("/over/fluid.viscosity_pa_s/0", [0]),
    ("/over/mesh.cells_per_diameter/1", [8, 3]),
    ("/over/particles.friction/1", [0.5, 5]),
    ("/bed/diameter_m", 1e300),
    ("/bed/unknown", 1),
    ("/name", "#codeStream"),
]


def body_of(pointer: str, value: Any, base: dict[str, Any]) -> dict[str, Any]:
    """The base with the value at the pointer."""
    first, *rest = pointer.removeprefix("/").split("/")
    if not rest:
        return {**base, first: value}
    return {**base, first: body_of("/" + "/".join(rest), value, dict(base.get(first) or {}))}


def refused(answer: Any, pointer: str) -> str | None:
    """What is wrong with a refusal that should be one of this place."""
    if answer.status_code != 422:
        return f"{answer.status_code} {answer.text[:200]}"
    pointers = [error["pointer"] for error in answer.json().get("errors", [])]
    return None if any(each.startswith(pointer) for each in pointers) else f"{pointers}"


async def test_every_field_of_a_bed_has_its_bounds(lab: Lab) -> None:
    wrong: list[Any] = []
    for pointer, value in BEDS:
        base = {**GRID, "method": "gravity"}
        answer = await lab.post(f"{V1}/beds", json=body_of(pointer, value, base))
        if problem := refused(answer, pointer):
            wrong.append((pointer, value, problem))
    assert wrong == []
    both = await lab.post(f"{V1}/beds", json=GRID | {"packing_height_m": 0.05})
    assert refused(both, "/packing_height_m") is None
    for text in ('{"name": NaN}', '{"name": "a", "diameter_m": 1e999}', '{"name": "a",}'):
        headers = {"content-type": "application/json"}
        answer = await lab.post(f"{V1}/beds", content=text, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert (await lab.see("/beds"))["items"] == []
    assert (await lab.see("/jobs"))["items"] == []


async def test_every_field_of_a_simulation_has_its_bounds(lab: Lab, rival: Lab) -> None:
    bed = await lab.ready(particle_count=50)
    path = f"{V1}/beds/{bed['id']}/simulations"
    wrong: list[Any] = []
    for pointer, value in SIMULATIONS:
        answer = await lab.post(path, json=body_of(pointer, value, {"solver": "flow-v1"}))
        if problem := refused(answer, pointer):
            wrong.append((pointer, value, problem))
    assert wrong == []
    assert (await lab.see("/simulations"))["items"] == []
    for ask, bed_id in ((rival, bed["id"]), (lab, new_id()), (lab, "x")):
        answer = await ask.post(f"{V1}/beds/{bed_id}/simulations", json={"solver": "flow-v1"})
        assert answer.status_code == 404


async def test_a_sweep_is_refused_whole_at_the_value_that_is_wrong(lab: Lab) -> None:
    base: dict[str, Any] = {
        "solver": "flow-v1",
        "bed": {"generator": "spheres-v1"},
        "over": {"seed": [1]},
    }
    wrong: list[Any] = []
    for pointer, value in SWEEPS:
        sent = (
            {**base, "over": {pointer.split("/")[2]: value}}
            if pointer.startswith("/over/")
            else body_of(pointer, value, base)
        )
        answer = await lab.post(f"{V1}/simulations/sweeps", json=sent)
        if problem := refused(answer, pointer):
            wrong.append((pointer, value, problem))
    assert wrong == []
    assert (await lab.see("/beds"))["items"] == []
    assert (await lab.see("/jobs"))["items"] == []
