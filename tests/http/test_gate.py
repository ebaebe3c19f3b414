"""Gates as a caller sees them: in the catalogue, in the job, and as a failure where it asked."""

import json

import pytest

from tests.http.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")
GOOD = {"watertight": True, "thickness_m": 0.002, "porosity": 0.4}


async def test_the_catalogue_tells_what_results_are_held_to(api: Api) -> None:
    gates = (await api.get("/api/v1/models/gated-v1")).json()["gates"]
    assert [(gate["name"], gate["limit"]) for gate in gates] == [
        ("watertight", "= true"),
        ("thickness", ">= 0.0008"),
        ("porosity", ">= 0.2 and <= 0.9"),
    ]
    assert (await api.get("/api/v1/models/echo-v1")).json()["gates"] == []


async def test_a_job_shows_each_gate_once_it_has_ended(api: Api) -> None:
    submitted = await api.submit(model="gated-v1", params={"metrics": GOOD})
    assert (submitted["gates"], submitted["strict"]) == ([], False)
    ended = await api.ended(submitted["id"])
    assert [(gate["name"], gate["ok"], gate["value"]) for gate in ended["gates"]] == [
        ("watertight", True, 1),
        ("thickness", True, 0.002),
        ("porosity", True, 0.4),
    ]
    again = (await api.get(f"/api/v1/jobs/{submitted['id']}")).json()
    assert again["gates"] == ended["gates"]


async def test_without_strict_a_closed_gate_is_told_and_fails_nothing(api: Api) -> None:
    told = {"watertight": 0, "porosity": 0.95}
    job = await api.finished(model="gated-v1", params={"metrics": told})
    assert job["status"] == "SUCCEEDED"
    watertight, thickness, porosity = job["gates"]
    assert watertight["ok"] is False
    assert watertight["message"] == "watertight is 0, not = true. A closed surface has an inside."
    assert thickness["ok"] is None
    assert "told no metric 'thickness_m'" in thickness["message"]
    assert (porosity["ok"], porosity["value"]) == (False, 0.95)
    assert {artifact["name"] for artifact in job["artifacts"]} == {"report.json"}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({**GOOD, "watertight": False}, "watertight"),
        ({**GOOD, "thickness_m": "thick"}, "thickness"),
        ({"watertight": 1, "porosity": 0.4}, "thickness"),
    ],
)
async def test_strict_fails_the_job_once_and_for_good(
    api: Api, told: dict[str, object], name: str
) -> None:
    job = await api.finished(model="gated-v1", params={"metrics": told}, strict=True)
    assert (job["status"], job["attempt"], job["strict"]) == ("FAILED", 1, True)
    assert (job["error"]["code"], job["error"]["reason"]) == ("runner_failed", "gate_failed")
    assert repr(name) in job["error"]["message"]
    assert job["error"]["retryable"] is False
    assert [gate["name"] for gate in job["gates"] if not gate["ok"]] == [name]
    assert job["artifacts"] == []


async def test_strict_lets_a_good_result_through(api: Api) -> None:
    job = await api.finished(model="gated-v1", params={"metrics": GOOD}, strict=True)
    assert job["status"] == "SUCCEEDED"
    assert all(gate["ok"] for gate in job["gates"])


async def test_a_reopened_job_forgets_the_gates_of_its_last_attempt(api: Api) -> None:
    job = await api.finished(model="gated-v1", params={}, strict=True)
    reopened = (await api.post(f"/api/v1/jobs/{job['id']}/retry")).json()
    assert reopened["gates"] == []
    assert len((await api.ended(job["id"]))["gates"]) == 3


async def test_a_form_asks_for_it_too(api: Api) -> None:
    fields = {"model": "gated-v1", "strict": "true", "params": json.dumps({"metrics": {}})}
    files = {name: (None, value) for name, value in fields.items()}
    answer = await api.post("/api/v1/jobs", files=files)
    assert answer.status_code == 202, answer.text
    assert (await api.ended(answer.json()["id"]))["error"]["reason"] == "gate_failed"


async def test_strict_is_a_boolean(api: Api) -> None:
    answer = await api.post("/api/v1/jobs", json={"model": "gated-v1", "strict": "yes"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/strict"
