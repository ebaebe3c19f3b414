"""Uploads to the platform's own signed address: whole or in pieces, where the store is a folder."""

import asyncio
import hashlib
from typing import Any

import pytest

from tests.files.http.conftest import MAX_BYTES, Office
from tests.files.http.test_upload import DATA, MIB, SIZE, UPLOADS, opened
from tests.http.conftest import Running
from usina.http_kit.links import sign

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def running(on_folder: Running) -> Running:
    return on_folder


def ranged(start: int, stop: int, total: int | str = SIZE) -> dict[str, Any]:
    headers = {"content-range": f"bytes {start}-{stop - 1}/{total}"}
    return {"content": DATA[start:stop], "headers": headers}


async def test_in_pieces_and_resumed(office: Office) -> None:
    upload = await opened(office)
    url, put = upload["upload_url"], office.client.put
    ask = {"content-range": f"bytes */{SIZE}"}
    nothing = await put(url, headers=ask)
    assert (nothing.status_code, "range" in nothing.headers) == (308, False)
    first = await put(url, **ranged(0, 3 * MIB))
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{3 * MIB - 1}")
    assert (await put(url, headers=ask)).headers["range"] == f"bytes=0-{3 * MIB - 1}"
    gap = await put(url, **ranged(5 * MIB, SIZE))
    assert (gap.status_code, gap.headers["range"]) == (308, f"bytes=0-{3 * MIB - 1}")
    early = await office.post(f"{UPLOADS}/{upload['id']}/complete")
    assert (early.status_code, early.json()["code"]) == (409, "upload_incomplete")
    last = await put(url, **ranged(2 * MIB, SIZE))
    assert last.json() == {"received_bytes": SIZE, "complete": True}
    assert (await put(url, headers=ask)).status_code == 200
    assert (await office.post(f"{UPLOADS}/{upload['id']}/complete")).status_code == 201
    assert (await office.get(f"/api/v1/files/{upload['id']}/content")).content == DATA


async def test_what_arrived_before_the_connection_broke_is_kept(office: Office) -> None:
    upload = await opened(office)
    base = office.client.base_url
    reader, writer = await asyncio.open_connection(base.host, base.port)
    path = upload["upload_url"].removeprefix(str(base).rstrip("/"))
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n"
        f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}\r\n\r\n"
    )
    writer.write(head.encode() + DATA[: 5 * MIB])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    del reader
    url, ask = upload["upload_url"], {"content-range": f"bytes */{SIZE}"}
    async with asyncio.timeout(10):
        while "range" not in (there := await office.client.put(url, headers=ask)).headers:
            await asyncio.sleep(0.01)
    received = int(there.headers["range"].partition("-")[2]) + 1
    assert 0 < received <= 5 * MIB
    rest = await office.client.put(url, **ranged(received, SIZE))
    assert rest.json()["complete"]
    file = (await office.post(f"{UPLOADS}/{upload['id']}/complete")).json()
    assert file["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_a_ticket_takes_a_body_of_unknown_length(office: Office) -> None:
    async def chunks():
        for start in range(0, SIZE, 100_000):
            yield DATA[start : start + 100_000]

    ticket = (await office.post("/api/v1/jobs/upload-ticket", json={"filename": "a"})).json()
    assert (await office.client.put(ticket["upload_url"], content=chunks())).status_code == 200
    content = await office.get(f"/api/v1/files/{ticket['object_name']}/content")
    assert content.content == DATA


@pytest.mark.parametrize(
    "header",
    [
        "bytes 5-4/10",
        "bytes 0-10/10",
        "bytes a-b/c",
        "bytes 0-1",
        "items 0-1/2",
        "bytes 0-5/*/*",
        "",
        "bytes -5/10",
    ],
)
async def test_a_bad_content_range_is_refused(office: Office, header: str) -> None:
    upload = await opened(office)
    answer = await office.client.put(
        upload["upload_url"], content=b"123", headers={"content-range": header}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_content_range")
    assert office.objects() == []


async def test_a_body_that_is_not_as_long_as_its_range_is_refused(office: Office) -> None:
    upload = await opened(office)
    headers = {"content-range": f"bytes 0-99/{SIZE}"}
    answer = await office.client.put(upload["upload_url"], content=b"123", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_content_range")


async def test_another_total_is_refused(office: Office) -> None:
    upload = await opened(office)
    answer = await office.client.put(upload["upload_url"], **ranged(0, MIB, SIZE + 1))
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_size")


async def test_more_than_the_greatest_file_is_refused(office: Office) -> None:
    ticket = (await office.post("/api/v1/jobs/upload-ticket", json={"filename": "a"})).json()
    answer = await office.client.put(ticket["upload_url"], content=bytes(MAX_BYTES + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert office.objects() == []


async def test_only_the_signed_address_takes_bytes(office: Office, other_office: Office) -> None:
    upload, foreign = await opened(office), await opened(other_office)
    url = upload["upload_url"]
    path = f"/api/v1/uploads/{upload['id']}"
    for address in (
        path,
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        url.replace(upload["id"], foreign["id"]),
        sign(office.platform.secret, path, 60),
        sign(office.platform.secret, path, -2, method="PUT"),
    ):
        for headers in ({}, {"x-api-key": office.key}):
            answer = await office.client.put(address, content=DATA, headers=headers)
            assert answer.status_code == 401, address
    assert (await office.client.get(url)).status_code == 405
    assert office.objects() == []
