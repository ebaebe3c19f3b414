"""Jobs over HTTP: submit, look, wait, list, cancel, reopen, delete, download."""

import asyncio
import re
from typing import Any

import pytest

from tests.http.conftest import Api
from usina.kernel.ids import is_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = {
    *("id", "model", "model_version", "status", "progress", "stage", "params", "inputs"),
    *("priority", "attempt", "max_attempts", "labels", "created_at", "started_at", "finished_at"),
    *("queue_position", "waiting_reason", "cancel_requested_at", "error", "artifacts", "metrics"),
    *("strict", "gates", "reuse", "reused_from"),
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_accepted(api: Api) -> None:
    answer = await api.post("/api/v1/jobs", json={"model": "echo-v1", "labels": {"k": "v"}})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert set(job) == KEYS
    assert is_id(job["id"])
    assert (job["status"], job["progress"], job["attempt"]) == ("QUEUED", 0, 1)
    assert (job["max_attempts"], job["priority"], job["labels"]) == (3, 0, {"k": "v"})
    assert MOMENT.fullmatch(job["created_at"])
    assert (job["error"], job["artifacts"], job["finished_at"]) == (None, [], None)


async def test_succeeded(api: Api) -> None:
    job = await api.finished(params={"artifacts": 2, "artifact_bytes": 10})
    assert set(job) == KEYS
    assert (job["status"], job["progress"], job["error"]) == ("SUCCEEDED", 1, None)
    measured = {"queued_seconds", "run_seconds", "peak_memory_bytes", "sandbox", "told"}
    measured |= {"peak_gpu_memory_bytes"}
    assert measured == set(job["metrics"])
    names = {artifact["name"]: artifact for artifact in job["artifacts"]}
    assert {"report.json", "artifact-1.bin", "artifact-2.bin"} <= set(names)
    artifact = names["artifact-1.bin"]
    keys = {"id", "kind", "name", "media_type", "size_bytes", "sha256", "url"}
    assert set(artifact) == keys
    assert (artifact["size_bytes"], artifact["kind"]) == (10, "data")
    assert artifact["url"].startswith("/api/v1/artifacts/")


async def test_failed(api: Api) -> None:
    job = await api.finished(params={"fail": "invalid_input"})
    assert job["status"] == "FAILED"
    assert set(job["error"]) == {"code", "reason", "message", "retryable"}
    assert (job["error"]["code"], job["error"]["retryable"]) == ("invalid_input", False)


@pytest.mark.parametrize(
    ("submission", "code", "pointer"),
    [
        ({"model": "nothing-v1"}, "unknown_model", "/model"),
        ({"params": {"secnds": 1}}, "unknown_field", "/params/secnds"),
        ({"params": {"seconds": -1}}, "validation_failed", "/params/seconds"),
        ({"params": {"seconds": "1"}}, "validation_failed", "/params/seconds"),
        ({"inputs": {"image": "x"}}, "unknown_field", "/inputs/image"),
        ({"priority": 101}, "validation_failed", "/priority"),
        ({"priority": -101}, "validation_failed", "/priority"),
        ({"max_attempts": 0}, "validation_failed", "/max_attempts"),
        ({"max_attempts": 21}, "validation_failed", "/max_attempts"),
        ({"timeout_seconds": 0}, "validation_failed", "/timeout_seconds"),
        ({"timeout_seconds": 1e9}, "validation_failed", "/timeout_seconds"),
        ({"labels": {str(n): "" for n in range(65)}}, "validation_failed", "/labels"),
        ({"labels": {"": "v"}}, "validation_failed", "/labels"),
        ({"labels": {"k" * 65: "v"}}, "validation_failed", "/labels"),
        ({"labels": {"k": "v" * 257}}, "validation_failed", "/labels/k"),
        ({"callback_url": "ftp://example.org"}, "validation_failed", "/callback_url"),
        ({"callback_url": "https://10.0.0.1/x"}, "address_not_allowed", "/callback_url"),
        ({"status": "SUCCEEDED"}, "unknown_field", "/status"),
        ({"organization_id": "x"}, "unknown_field", "/organization_id"),
    ],
)
async def test_refused(api: Api, submission: dict[str, Any], code: str, pointer: str) -> None:
    body = {"model": "echo-v1"} | submission
    answer = await api.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    batch = await api.post("/api/v1/jobs/batch", json={"jobs": [{"model": "echo-v1"}, body]})
    assert (batch.status_code, batch.json()["code"]) == (422, code)
    assert f"/jobs/1{pointer}" in [error["pointer"] for error in batch.json()["errors"]]
    assert (await api.get("/api/v1/jobs")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b'{"model": NaN}', "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b'{"model": "echo-v1"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"model": "echo-v1"}', "", 415, "unsupported_media_type"),
        (b"model=echo-v1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'"' + b"x" * 17 * 2**20 + b'"', "application/json", 413, "too_large"),
    ],
)
async def test_bodies_that_are_not_read(
    api: Api, body: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await api.post("/api/v1/jobs", content=body, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_compressed_body_is_not_unpacked(api: Api) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await api.post("/api/v1/jobs", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415


async def test_a_batch_is_accepted_in_order(api: Api) -> None:
    jobs = [{"model": "echo-v1", "labels": {"n": str(n)}} for n in range(20)]
    answer = await api.post("/api/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 202
    assert [job["labels"]["n"] for job in answer.json()["items"]] == [str(n) for n in range(20)]
    assert all(set(job) == KEYS for job in answer.json()["items"])
    for job in answer.json()["items"]:
        assert (await api.ended(job["id"]))["status"] == "SUCCEEDED"


async def test_a_wait_ends_with_the_job(api: Api) -> None:
    job = await api.submit(params={"seconds": 0.3})
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer = await api.get(f"/api/v1/jobs/{job['id']}?wait_seconds=30")
    assert answer.json()["status"] == "SUCCEEDED"
    assert loop.time() - started < 5
    started = loop.time()
    await api.get(f"/api/v1/jobs/{job['id']}?wait_seconds=30")
    assert loop.time() - started < 0.5


async def test_a_wait_ends_after_its_time(api: Api) -> None:
    job = await api.running(params={"seconds": 60})
    answer = await api.get(f"/api/v1/jobs/{job['id']}?wait_seconds=0.2")
    assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")
    assert (await api.ended_by_cancel(job["id"]))["status"] == "CANCELLED"


async def test_cancel_is_accepted_and_repeats(api: Api) -> None:
    job = await api.running(params={"seconds": 60})
    first = await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert first.status_code == 202
    assert first.json()["cancel_requested_at"]
    ended = await api.ended(job["id"])
    assert (ended["status"], ended["error"]["code"]) == ("CANCELLED", "cancelled")
    again = await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "CANCELLED")


async def test_retry_reopens(api: Api) -> None:
    job = await api.finished(params={"fail": "runner_failed", "fail_attempts": 1}, max_attempts=1)
    assert job["status"] == "FAILED"
    answer = await api.post(f"/api/v1/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "QUEUED")
    assert (answer.json()["attempt"], answer.json()["progress"]) == (2, 0)
    assert (await api.ended(job["id"]))["status"] == "SUCCEEDED"
    refused = await api.post(f"/api/v1/jobs/{job['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_not_retryable")


async def test_delete_takes_everything(api: Api) -> None:
    job = await api.running(params={"seconds": 60})
    refused = await api("DELETE", f"/api/v1/jobs/{job['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_not_terminal")
    await api.ended_by_cancel(job["id"])
    answer = await api("DELETE", f"/api/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).status_code == 404
    assert (await api.get("/api/v1/events")).json()["items"] == []


async def test_pages_are_the_whole_list_once(api: Api) -> None:
    made = [(await api.submit(labels={"n": str(n % 2)}))["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = await api.get(f"/api/v1/jobs?limit=3{cursor and f'&cursor={cursor}'}")
        seen += [job["id"] for job in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if len(seen) == 3:
            await api.submit()
    assert seen == made[::-1]
    labelled = await api.get("/api/v1/jobs?label.n=1")
    assert [job["id"] for job in labelled.json()["items"]] == made[1::2][::-1]
    assert (await api.get("/api/v1/jobs?model=picture-v1")).json()["items"] == []
    assert (await api.get("/api/v1/jobs?cursor=abc")).json()["code"] == "validation_failed"
    for job_id in made:
        await api.ended(job_id)
    for status, many in (("SUCCEEDED", 8), ("FAILED&status=CANCELLED", 0)):
        found = await api.get(f"/api/v1/jobs?status={status}")
        assert len([j for j in found.json()["items"] if j["status"] == "SUCCEEDED"]) <= many


async def test_created_after(api: Api) -> None:
    first, second = await api.submit(), await api.submit()
    answer = await api.get("/api/v1/jobs", params={"created_after": first["created_at"]})
    assert [job["id"] for job in answer.json()["items"]] == [second["id"]]


async def test_download_is_the_main_artifact(api: Api) -> None:
    running = await api.running(params={"seconds": 60})
    path = f"/api/v1/jobs/{running['id']}/download"
    refused = await api.get(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "artifact_not_ready")
    await api.ended_by_cancel(running["id"])
    assert (await api.get(path)).status_code == 409
    job = await api.finished(params={"artifact_bytes": 5})
    answer = (await api.get(f"/api/v1/jobs/{job['id']}/download")).json()
    assert answer["expires_in"] == 3600
    got = await api.client.get(answer["download_url"])
    assert (got.status_code, len(got.content)) == (200, 5)
