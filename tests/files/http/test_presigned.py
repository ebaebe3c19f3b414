"""What only a bucket can do: bytes go to its own server and come from there, past the platform."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.files.http.conftest import MAX_BYTES, Office
from tests.files.http.test_upload import DATA, SIZE, UPLOADS, opened, send
from tests.http.conftest import Running, at_work, settings_of
from tests.storage.proxy import Fault, Proxy, error, hang, proxy_before
from tests.storage.s3_server import access, settings_of_bucket
from usina.http_kit.links import sign
from usina.kernel.storage.store import STEP_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="session")

TICKET = "/api/v1/jobs/upload-ticket"


@pytest.fixture
def running(on_bucket: Running) -> Running:
    return on_bucket


def sent_key(office: Office, upload_id: str) -> str:
    return f"uploads/{office.caller.organization_id}/{upload_id}/sent"


async def ticket_of(office: Office) -> dict[str, Any]:
    return (await office.post(TICKET, json={"filename": "a.png"})).json()


async def test_an_upload_goes_to_the_public_endpoint(office: Office) -> None:
    upload = await opened(office)
    assert upload["upload_url"].startswith(f"{access().public_url}/usina-")
    assert upload["headers"] == {
        "Content-Length": str(SIZE),
        "Content-Type": "application/octet-stream",
    }
    assert access().secret_key not in upload["upload_url"]


async def test_public_addresses_are_those_that_the_setting_names(tmp_path: Path) -> None:
    outside = replace(access(), public_endpoint="https://files.example.org")
    async with at_work(settings_of(tmp_path, **settings_of_bucket(outside))) as running:
        api = await running.new_organization()
        office = Office(api.platform, api.client, api.caller, api.key)
        for asked, path in (({"name": "a", "size_bytes": 1}, UPLOADS), ({"filename": "a"}, TICKET)):
            url = (await office.post(path, json=asked)).json()["upload_url"]
            assert url.startswith("https://files.example.org/usina-")
        artifact = await office.artifact(b"x" * 5000)
        path = f"/api/v1/artifacts/{artifact.id}/content?redirect=1"
        moved = await office.get(path)
        assert moved.headers["location"].startswith("https://files.example.org/usina-")


async def test_what_is_put_after_the_completion_changes_nothing(office: Office) -> None:
    upload = await opened(office)
    await send(office, upload)
    path = f"{UPLOADS}/{upload['id']}/complete"
    file = (await office.post(path)).json()
    other = bytes(SIZE)
    assert (await send(office, upload, other)).status_code == 200
    again = await office.post(path)
    assert (again.status_code, again.json()) == (200, file)
    content = (await office.get(f"/api/v1/files/{file['id']}/content")).content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert content == DATA


@pytest.mark.parametrize(
    ("size", "status", "code"),
    [(0, 422, "empty_file"), (SIZE - 1, 422, "upload_size"), (SIZE + 1, 422, "upload_size")],
)
async def test_bytes_of_another_size_are_refused_and_go(
    office: Office, size: int, status: int, code: str
) -> None:
    upload = await opened(office)
    office.platform.store.put(sent_key(office, upload["id"]), bytes(size))
    path = f"{UPLOADS}/{upload['id']}/complete"
    refused = await office.post(path)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert office.objects() == []
    assert (await office.post(path)).json()["code"] == "upload_incomplete"
    await send(office, upload)
    assert (await office.post(path)).status_code == 201


@pytest.mark.parametrize(
    ("size", "status", "code"), [(0, 422, "empty_file"), (MAX_BYTES + 1, 413, "too_large")]
)
async def test_a_ticket_of_bytes_that_no_file_may_have_is_refused_at_its_use(
    office: Office, size: int, status: int, code: str
) -> None:
    ticket = await ticket_of(office)
    assert (await office.client.put(ticket["upload_url"], content=bytes(size))).is_success
    asked = {"model": "picture-v1", "inputs": {"image": ticket["object_name"]}}
    refused = await office.post("/api/v1/jobs", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert office.objects() == []
    assert (await office.get(f"/api/v1/files/{ticket['object_name']}")).status_code == 404
    await office.client.put(ticket["upload_url"], content=DATA)
    assert (await office.post("/api/v1/jobs", json=asked)).status_code == 202


async def test_two_that_use_a_ticket_at_once_read_one_file(office: Office) -> None:
    ticket = await ticket_of(office)
    await office.client.put(ticket["upload_url"], content=DATA)
    asked = {"model": "picture-v1", "inputs": {"image": ticket["object_name"]}}
    answers = await asyncio.gather(*(office.post("/api/v1/jobs", json=asked) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len([key for key in office.objects() if key.startswith("files/")]) == 1


async def test_a_batch_and_a_keyed_submit_find_what_was_sent(office: Office) -> None:
    tickets = [await ticket_of(office) for _ in range(2)]
    for ticket in tickets:
        await office.client.put(ticket["upload_url"], content=DATA)
    image, other = (ticket["object_name"] for ticket in tickets)
    job = {"model": "picture-v1", "inputs": {"image": image, "others": [other]}}
    key = {"idempotency-key": "batch"}
    answers = [
        await office.post("/api/v1/jobs/batch", json={"jobs": [job, job]}, headers=key)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()


async def test_an_upload_larger_than_one_request_may_bring_comes_to_the_platform(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.storage.s3._LARGEST_PUT_BYTES", SIZE - 1)
    upload = await opened(office)
    assert upload["upload_url"].startswith(str(office.client.base_url))
    assert (await send(office, upload)).json() == {"received_bytes": SIZE, "complete": True}
    assert (await office.post(f"{UPLOADS}/{upload['id']}/complete")).status_code == 201


async def test_a_download_is_sent_to_the_store_when_it_is_asked_to(office: Office) -> None:
    artifact = await office.artifact(b"<script>" * 1000, "página.html", "text/html")
    path = f"/api/v1/artifacts/{artifact.id}/content"
    own = await office.get(path)
    for address in (
        f"{path}?redirect=1",
        f"{sign(office.platform.secret, path, 60)}&redirect=1",
    ):
        headers = {} if "signature" in address else {"x-api-key": office.key}
        moved = await office.client.get(address, headers=headers)
        assert (moved.status_code, moved.headers["cache-control"]) == (302, "no-store")
        location = moved.headers["location"]
        assert location.startswith(access().public_url)
        async with httpx2.AsyncClient() as anybody:
            answer = await anybody.get(location)
            part = await anybody.get(location, headers={"range": "bytes=8-15"})
        assert answer.content == b"<script>" * 1000
        for name in ("content-type", "content-disposition"):
            assert answer.headers[name] == own.headers[name]
        assert answer.headers["content-disposition"].startswith("attachment")
        assert (part.status_code, part.content) == (206, b"<script>")


async def test_what_need_not_be_sent_is_not_sent_anywhere(office: Office) -> None:
    artifact = await office.artifact(bytes(5000))
    path = f"/api/v1/artifacts/{artifact.id}/content?redirect=1"
    known = await office.get(path, headers={"if-none-match": f'"{artifact.sha256}"'})
    assert (known.status_code, known.content) == (304, b"")
    office.platform.store.delete([artifact.key])
    lost = await office.get(path)
    assert (lost.status_code, lost.json()["code"]) == (410, "content_lost")


async def test_a_redirect_needs_the_same_rights(office: Office, other_office: Office) -> None:
    artifact = await office.artifact(bytes(5000))
    path = f"/api/v1/artifacts/{artifact.id}/content"
    assert (await other_office.get(f"{path}?redirect=1")).status_code == 404
    assert (await office.client.get(f"{path}?redirect=1")).status_code == 401
    late = sign(office.platform.secret, path, -2)
    assert (await office.client.get(f"{late}&redirect=1")).status_code == 401


async def test_a_small_artifact_lies_in_its_row_and_comes_from_the_platform(
    office: Office,
) -> None:
    job = await office.finished(params={"artifact_bytes": 10})
    report = next(a for a in job["artifacts"] if a["name"] == "report.json")
    answer = await office.get(f"{report['url']}&redirect=1")
    assert (answer.status_code, answer.json()["model"]) == (200, "echo-v1")


async def test_what_a_job_has_made_is_downloaded_both_ways(office: Office) -> None:
    job = await office.finished(params={"artifact_bytes": 3 * STEP_BYTES})
    made = next(a for a in job["artifacts"] if a["name"] == "artifact-1.bin")
    for address in (made["url"], f"{made['url']}&redirect=1"):
        answer = await office.client.get(address, follow_redirects=True)
        assert hashlib.sha256(answer.content).hexdigest() == made["sha256"]
    given = (await office.get(f"/api/v1/jobs/{job['id']}/download")).json()
    assert given["download_url"].startswith("/api/v1/artifacts/")
    assert given["expires_in"] > 0


@pytest_asyncio.fixture(loop_scope="session")
async def behind(tmp_path: Path) -> AsyncGenerator[tuple[Office, Proxy]]:
    """A platform whose bucket is behind a proxy that breaks."""
    with proxy_before(access().url) as proxy:
        chosen = settings_of_bucket(replace(access(), endpoint=proxy.url))
        async with at_work(settings_of(tmp_path, **chosen)) as running:
            api = await running.new_organization()
            yield Office(api.platform, api.client, api.caller, api.key), proxy
            proxy.closing.set()


async def _check(office: Office) -> tuple[int, str]:
    answer = await office.client.get("/ready")
    return answer.status_code, answer.json()["checks"]["storage"]


async def _ready(office: Office) -> None:
    """A busy machine may answer late once, and is not ready then."""
    async with asyncio.timeout(30):
        while await _check(office) != (200, "ok"):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (error(503, "SlowDown"), "does not answer"),
        (error(403, "InvalidAccessKeyId"), "the access key is not known to it"),
        (error(404, "NoSuchBucket"), "its bucket does not exist"),
        (hang, "does not answer"),
    ],
    ids=["slow-down", "refused", "no-bucket", "hang"],
)
async def test_ready_asks_the_store_itself_and_says_why_not(
    behind: tuple[Office, Proxy], fault: Fault, told: str
) -> None:
    office, proxy = behind
    await _ready(office)
    proxy.break_next(fault, times=1000)
    async with asyncio.timeout(10):
        status, why = await _check(office)
    assert status == 503
    assert told in why
    assert "127.0.0.1" not in why
    proxy.break_next(fault, times=0)
    await _ready(office)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (error(507, "XMinioStorageFull"), "storage_full"),
        (error(403, "AccessDenied"), "storage_refused"),
    ],
)
async def test_a_store_that_takes_nothing_is_told_as_such(
    behind: tuple[Office, Proxy], fault: Fault, code: str
) -> None:
    office, proxy = behind
    upload = await opened(office)
    office.platform.store.put(sent_key(office, upload["id"]), DATA)
    proxy.break_next(fault, times=1000)
    for answer in (
        await office.post("/api/v1/files", files={"file": ("a", b"content")}),
        await office.post(f"{UPLOADS}/{upload['id']}/complete"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, code)
        assert int(answer.headers["retry-after"]) > 0
    proxy.break_next(fault, times=0)
    assert (await office.post(f"{UPLOADS}/{upload['id']}/complete")).status_code == 201
    assert len([key for key in office.objects() if key.startswith("files/")]) == 1
