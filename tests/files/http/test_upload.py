"""Uploads in several requests over HTTP."""

import asyncio
import hashlib
import os
from typing import Any

import httpx2
import pytest

from tests.files.http.conftest import MAX_BYTES, Office

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024**2
DATA = b"\x89PNG\r\n\x1a\n" + os.urandom(9 * MIB)
SIZE = len(DATA)
UPLOADS = "/api/v1/files/uploads"


async def opened(office: Office, size: int = SIZE, **headers: str) -> dict[str, Any]:
    asked = {"name": "a.jpg", "size_bytes": size, "media_type": "image/jpeg"}
    answer = await office.post(UPLOADS, json=asked, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def send(office: Office, upload: dict[str, Any], content: bytes = DATA) -> httpx2.Response:
    """To wherever the upload says."""
    return await office.client.request(
        upload["method"], upload["upload_url"], content=content, headers=upload["headers"]
    )


async def test_opened_sent_completed(office: Office) -> None:
    upload = await opened(office)
    assert list(upload) == ["id", "upload_url", "method", "headers", "expires_at"]
    assert (await office.get(f"/api/v1/files/{upload['id']}")).status_code == 404
    path = f"{UPLOADS}/{upload['id']}/complete"
    early = await office.post(path)
    assert (early.status_code, early.json()["code"]) == (409, "upload_incomplete")
    assert f"0 of {SIZE} bytes" in early.json()["detail"]
    assert (await send(office, upload)).status_code == 200
    first = await office.post(path)
    assert first.status_code == 201
    file = first.json()
    assert (file["id"], file["media_type"]) == (upload["id"], "image/png")
    assert file["sha256"] == hashlib.sha256(DATA).hexdigest()
    for slash in ("", "/"):
        again = await office.post(path + slash)
        assert (again.status_code, again.json()) == (200, file)
    assert (await office.get(f"/api/v1/files/{file['id']}/content")).content == DATA


async def test_a_ticket_is_completed_by_its_put(office: Office) -> None:
    asked = {"filename": "photo.jpg", "content_type": "image/jpeg"}
    answer = await office.post("/api/v1/jobs/upload-ticket", json=asked)
    assert answer.status_code == 201
    ticket = answer.json()
    assert set(ticket) == {"upload_url", "object_name"}
    assert (await office.client.put(ticket["upload_url"], content=DATA)).status_code == 200
    file = (await office.get(f"/api/v1/files/{ticket['object_name']}")).json()
    assert (file["name"], file["media_type"], file["size_bytes"]) == (
        "photo.jpg",
        "image/png",
        SIZE,
    )


@pytest.mark.parametrize(
    ("asked", "status", "code", "pointer"),
    [
        ({}, 422, "validation_failed", "/name"),
        ({"name": "a", "size_bytes": 0}, 422, "empty_file", "/size_bytes"),
        ({"name": "a", "size_bytes": -1}, 422, "empty_file", "/size_bytes"),
        ({"name": "a", "size_bytes": "1"}, 422, "validation_failed", "/size_bytes"),
        ({"name": "a", "size_bytes": 1.5}, 422, "validation_failed", "/size_bytes"),
        ({"name": "a", "size_bytes": 10**30}, 413, "too_large", None),
        ({"name": "a", "size_bytes": MAX_BYTES + 1}, 413, "too_large", None),
        ({"name": "", "size_bytes": 1}, 422, "validation_failed", "/name"),
        ({"name": None, "size_bytes": 1}, 422, "validation_failed", "/name"),
        ({"name": "a", "size_bytes": 1, "key": "/etc"}, 422, "unknown_field", "/key"),
    ],
)
async def test_a_bad_upload_is_not_opened(
    office: Office, asked: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    answer = await office.post(UPLOADS, json=asked)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
    assert await office.rows() == 0


async def test_of_many_completions_one_makes_the_file(office: Office) -> None:
    upload = await opened(office)
    await send(office, upload)
    path = f"{UPLOADS}/{upload['id']}/complete"
    answers = await asyncio.gather(*(office.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
    assert {answer.json()["sha256"] for answer in answers} == {hashlib.sha256(DATA).hexdigest()}
    assert len([key for key in office.objects() if key.startswith("files/")]) == 1


async def test_a_ticket_serves_as_an_input_once_it_was_sent(office: Office) -> None:
    ticket = (await office.post("/api/v1/jobs/upload-ticket", json={"filename": "a.png"})).json()
    asked = {"model": "picture-v1", "inputs": {"image": ticket["object_name"]}}
    early = await office.post("/api/v1/jobs", json=asked)
    assert (early.status_code, early.json()["code"]) == (422, "input_not_found")
    assert (await office.client.put(ticket["upload_url"], content=DATA)).status_code == 200
    job = await office.finished(**asked)
    assert job["status"] == "SUCCEEDED", job["error"]


async def test_a_ticket_that_was_sent_is_deleted_as_a_file_is(office: Office) -> None:
    ticket = (await office.post("/api/v1/jobs/upload-ticket", json={"filename": "a.png"})).json()
    path = f"/api/v1/files/{ticket['object_name']}"
    assert (await office("DELETE", path)).status_code == 404
    await office.client.put(ticket["upload_url"], content=DATA)
    assert (await office("DELETE", path)).status_code == 204
    assert (await office.get(path)).status_code == 404
    assert await office.is_empty()


async def test_anothers_ticket_is_no_input(office: Office, other_office: Office) -> None:
    ticket = (await office.post("/api/v1/jobs/upload-ticket", json={"filename": "a.png"})).json()
    await office.client.put(ticket["upload_url"], content=DATA)
    asked = {"model": "picture-v1", "inputs": {"image": ticket["object_name"]}}
    refused = await other_office.post("/api/v1/jobs", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (422, "input_not_found")
    path = f"/api/v1/files/{ticket['object_name']}"
    assert (await other_office.get(path)).status_code == 404
    assert (await office.get(path)).status_code == 200


async def test_anothers_upload_can_not_be_completed(office: Office, other_office: Office) -> None:
    upload = await opened(office)
    await send(office, upload)
    path = f"{UPLOADS}/{upload['id']}/complete"
    assert (await other_office.post(path)).status_code == 404
    assert (await office.client.post(path)).status_code == 401
    assert (await office.post(f"{UPLOADS}/none/complete")).status_code == 404


async def test_the_same_key_opens_one_upload_and_completes_it_once(office: Office) -> None:
    key = {"idempotency-key": "once"}
    upload = await opened(office, **key)
    assert await opened(office, **key) == upload
    assert await office.rows() == 1
    await send(office, upload)
    path = f"{UPLOADS}/{upload['id']}/complete"
    answers = [await office.post(path, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
