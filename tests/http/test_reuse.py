"""An earlier result of the same work is taken instead of a run, where the caller allows it."""

import asyncio
from typing import Any

import pytest

from tests.http.conftest import Api
from usina.kernel.artifacts.artifact import Artifact

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK = {"artifact_bytes": 100_000, "artifacts": 2}
"""Two files that lie in the store; the report lies in its row."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "08d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def made(job: dict[str, Any]) -> dict[str, str]:
    """What a job has made but its log, by name."""
    return {each["name"]: each["sha256"] for each in job["artifacts"] if each["kind"] != "log"}


async def content(api: Api, job: dict[str, Any], name: str) -> bytes:
    [artifact] = [each for each in job["artifacts"] if each["name"] == name]
    answer = await api.get(f"/api/v1/artifacts/{artifact['id']}/content")
    assert answer.status_code == 200
    return answer.content


async def test_the_same_work_is_answered_with_the_earlier_result(api: Api) -> None:
    first = await api.finished(params=WORK)
    assert (first["reuse"], first["reused_from"]) == (False, None)
    submitted = await api.submit(params=dict(reversed(WORK.items())), reuse=True)
    assert (submitted["status"], submitted["reuse"]) == ("QUEUED", True)
    second = await api.ended(submitted["id"])

    assert second["reused_from"] == first["id"], "in any order"
    assert (second["status"], second["progress"], made(second)) == ("SUCCEEDED", 1.0, made(first))
    assert not {each["id"] for each in first["artifacts"]} & {e["id"] for e in second["artifacts"]}
    events = (await api.get(f"/api/v1/jobs/{second['id']}/events")).json()["items"]
    kinds = [event["type"] for event in events]
    assert kinds == ["job.queued", "job.running", *["job.artifact"] * 3, "job.succeeded"]
    assert (await api.get(f"/api/v1/jobs/{second['id']}/logs")).content == b""

    name = "artifact-1.bin"
    before = await content(api, first, name)
    assert (await api("DELETE", f"/api/v1/jobs/{first['id']}")).status_code == 204
    assert await content(api, second, name) == before, "it is its own"
    third = await api.finished(params=WORK, reuse=True)
    assert third["reused_from"] == second["id"]
    assert await content(api, third, "report.json") == await content(api, second, "report.json")


async def test_only_the_same_work_of_the_same_organization_is_taken(api: Api, other: Api) -> None:
    failing = {"fail": "invalid_input"}
    assert (await api.finished(params=failing))["status"] == "FAILED"
    first = await api.finished(params=WORK)

    for jobs, said in (
        (other, {"params": WORK, "reuse": True}),
        (api, {"params": WORK}),
        (api, {"params": WORK | {"artifacts": 1}, "reuse": True}),
        (api, {"params": failing, "reuse": True}),
    ):
        job = await jobs.finished(**said)
        assert job["reused_from"] is None, said
    assert (await api.finished(params=WORK, reuse=True))["reused_from"] != first["id"], "newest"


async def test_inputs_count_by_their_content(api: Api) -> None:
    async def picture(data: bytes) -> str:
        answer = await api.post("/api/v1/files", files={"file": ("a name.png", data)})
        assert answer.status_code == 201
        return answer.json()["id"]

    first = await api.finished(model="picture-v1", inputs={"image": await picture(PNG)})
    assert first["status"] == "SUCCEEDED"
    again = {"model": "picture-v1", "reuse": True, "params": {"texture_size": 1024}}
    same = await api.finished(inputs={"image": await picture(PNG)}, **again)
    assert same["reused_from"] == first["id"], "a default may be given"
    changed = await api.finished(inputs={"image": await picture(PNG + b"\0")}, **again)
    assert (changed["status"], changed["reused_from"]) == ("SUCCEEDED", None)


async def test_a_result_that_is_lost_is_made_again(api: Api) -> None:
    first = await api.finished(params=WORK)
    [lost] = [each for each in first["artifacts"] if each["name"] == "artifact-2.bin"]
    owner = api.caller.organization_id
    store = api.platform.store
    await store.run(lambda: store.delete([Artifact.key_of(owner, first["id"], lost["id"])]))

    second = await api.finished(params=WORK, reuse=True)
    assert (second["status"], second["reused_from"]) == ("SUCCEEDED", None)
    assert len(await content(api, second, "artifact-2.bin")) == 100_000
    keys = await store.run(lambda: [each.key for each in store.list(f"artifacts/{owner}/")])
    named = {e["id"] for job in (first, second) for e in job["artifacts"]}
    assert {key.rpartition("/")[2] for key in keys} <= named, "nothing half copied is left"


async def test_a_strict_job_takes_no_result_whose_gates_are_closed(api: Api) -> None:
    work = {"model": "gated-v1", "params": {"metrics": {"watertight": 0}}}
    first = await api.finished(**work)
    loose = await api.finished(**work, reuse=True)
    assert (loose["reused_from"], loose["gates"]) == (first["id"], first["gates"])
    strict = await api.finished(**work, reuse=True, strict=True)
    assert (strict["status"], strict["error"]["reason"]) == ("FAILED", "gate_failed")


async def test_two_at_once_both_end_well_whichever_is_first(api: Api) -> None:
    work = {"params": WORK | {"log_lines": 3}, "reuse": True}
    twins = await asyncio.gather(api.submit(**work), api.submit(**work))
    ended = [await api.ended(job["id"]) for job in twins]
    assert [job["status"] for job in ended] == ["SUCCEEDED", "SUCCEEDED"]
    assert made(ended[0])["artifact-1.bin"] == made(ended[1])["artifact-1.bin"]
    last = await api.finished(**work)
    assert last["reused_from"] in {job["id"] for job in ended}


async def test_a_form_allows_it_too_and_another_word_is_refused(api: Api) -> None:
    form = {"model": (None, "echo-v1"), "reuse": (None, "true")}
    answer = await api.post("/api/v1/jobs", files=form)
    assert (answer.status_code, answer.json()["reuse"]) == (202, True)
    refused = await api.post("/api/v1/jobs", json={"model": "echo-v1", "reuse": "yes"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/reuse"
