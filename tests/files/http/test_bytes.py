"""Stored bytes on the wire: ranges, conditions, what a browser may do with them."""

import asyncio
import hashlib
import os
from urllib.parse import unquote

import pytest

from tests.files.http.conftest import Office
from usina.http_kit.links import sign
from usina.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA = bytes(range(200))
SIZE = len(DATA)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=10-19", 10, 20),
        ("bytes=199-199", 199, 200),
        ("bytes=199-", 199, 200),
        ("bytes=100-99999999", 100, SIZE),
        ("bytes=-1", 199, 200),
        ("bytes=-200", 0, SIZE),
        ("bytes=-99999", 0, SIZE),
        ("bytes= 5-6", 5, 7),
    ],
)
async def test_a_range_is_answered_alone(
    office: Office, wanted: str, start: int, stop: int
) -> None:
    file = await office.upload(DATA)
    path = f"/api/v1/files/{file['id']}/content"
    answer = await office.get(path, headers={"range": wanted})
    assert answer.status_code == 206
    assert answer.content == DATA[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=5-4",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "bytes=" + ",".join(["0-199"] * 1000),
        "bytes=0-0-0",
        "bytes=1.5-2",
        "bytes=٣-٤".encode(),
        "items=0-1",
        "0-1",
        "bytes=" + "9" * 400 + "-",
    ],
)
async def test_what_is_no_single_range_is_answered_whole(
    office: Office, wanted: str | bytes
) -> None:
    file = await office.upload(DATA)
    path = f"/api/v1/files/{file['id']}/content"
    answer = await office.get(path, headers={"range": wanted})
    assert (answer.status_code, answer.content) == (200, DATA)
    assert "content-range" not in answer.headers
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("wanted", ["bytes=200-", "bytes=200-300", "bytes=999-1000", "bytes=-0"])
async def test_a_range_outside_is_told_the_size(office: Office, wanted: str) -> None:
    file = await office.upload(DATA)
    path = f"/api/v1/files/{file['id']}/content"
    answer = await office.get(path, headers={"range": wanted})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 304),
        (f"W/{ETAG}", 304),
        ("*", 304),
        (f'"other", {ETAG}', 304),
        ('"other"', 200),
        (ETAG.strip('"'), 200),
        ("junk", 200),
        ("", 200),
    ],
)
async def test_bytes_that_have_not_changed_are_not_sent(
    office: Office, condition: str, status: int
) -> None:
    file = await office.upload(DATA)
    path = f"/api/v1/files/{file['id']}/content"
    answer = await office.get(path, headers={"if-none-match": condition, "range": "bytes=0-300"})
    assert answer.status_code == (304 if status == 304 else 206)
    assert answer.content == (b"" if status == 304 else DATA)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Sat, 21 Nov 2026 10:00:00 GMT", 200)],
)
async def test_a_range_of_other_bytes_is_answered_whole(
    office: Office, condition: str, status: int
) -> None:
    file = await office.upload(DATA)
    path = f"/api/v1/files/{file['id']}/content"
    headers = {"if-range": condition, "range": "bytes=10-19"}
    answer = await office.get(path, headers=headers)
    assert (answer.status_code, answer.content) == (
        status,
        DATA[10:20] if status == 206 else DATA,
    )


async def test_head_answers_as_get_without_the_bytes(office: Office) -> None:
    file = await office.upload(os.urandom(5 * 1024**2))
    path = f"/api/v1/files/{file['id']}/content"
    whole = await office("HEAD", path)
    assert (whole.status_code, whole.content) == (200, b"")
    assert whole.headers["content-length"] == str(5 * 1024**2)
    ranged = await office("HEAD", path, headers={"range": "bytes=1-2"})
    assert (ranged.status_code, ranged.headers["content-length"]) == (206, "2")


async def test_an_empty_artifact_is_served(office: Office) -> None:
    artifact = await office.artifact(b"")
    path = f"/api/v1/artifacts/{artifact.id}/content"
    answer = await office.get(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await office.get(path, headers={"range": "bytes=0-"})).status_code == 416


@pytest.mark.parametrize("size", [2 * 1024**2, 2 * 1024**2 + 1, 9 * 1024**2])
async def test_large_bytes_come_whole(office: Office, size: int) -> None:
    data = os.urandom(size)
    artifact = await office.artifact(data)
    path = f"/api/v1/artifacts/{artifact.id}/content"
    assert (await office.get(path)).content == data
    answer = await office.get(path, headers={"range": "bytes=1-"})
    assert answer.content == data[1:]


@pytest.mark.parametrize(
    ("media_type", "shown"),
    [
        ("image/png", "inline"),
        ("image/jpeg", "inline"),
        ("image/webp", "inline"),
        ("image/gif", "inline"),
        ("model/gltf-binary", "inline"),
        ("video/mp4", "inline"),
        ("text/plain", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("application/json", "attachment"),
        ("text/csv", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
async def test_only_harmless_types_are_shown_and_all_are_sandboxed(
    office: Office, media_type: str, shown: str
) -> None:
    artifact = await office.artifact(b"<script>alert(1)</script>", "a.html", media_type)
    answer = await office.get(f"/api/v1/artifacts/{artifact.id}/content")
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["content-disposition"] == f'{shown}; filename="a.html"'
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "name",
    [
        "plain.png",
        'quote".png',
        "back\\slash",
        "工場 photo.png",
        "per%cent.png",
        "semi;colon=1",
        "é",
    ],
)
async def test_any_name_is_a_safe_header(office: Office, name: str) -> None:
    artifact = await office.artifact(b"x", name)
    answer = await office.get(f"/api/v1/artifacts/{artifact.id}/content")
    header = answer.headers["content-disposition"]
    plain, _, true = header.removeprefix('attachment; filename="').partition('"; filename*=')
    assert not set(plain.rstrip('"')) & set('"\\%;') or name == "plain.png"
    assert unquote(true.removeprefix("UTF-8''")) == name if true else plain.rstrip('"') == name


async def test_an_artifact_is_described_with_a_link_that_needs_no_key(office: Office) -> None:
    artifact = await office.artifact(DATA, "field.bin")
    described = (await office.get(f"/api/v1/artifacts/{artifact.id}")).json()
    url = described.pop("url")
    assert described == {
        "id": artifact.id,
        "kind": "data",
        "name": "field.bin",
        "media_type": "application/octet-stream",
        "size_bytes": SIZE,
        "sha256": artifact.sha256,
    }
    for address in (url, f"{url}&redirect=1"):
        answer = await office.client.get(address, follow_redirects=True)
        assert (answer.status_code, answer.content) == (200, DATA)
    assert (await office.client.head(url)).status_code == 200


async def test_a_link_that_was_changed_is_refused(office: Office) -> None:
    artifact, other = await office.artifact(b"mine"), await office.artifact(b"other")
    secret = office.platform.secret
    path = f"/api/v1/artifacts/{artifact.id}/content"
    good = sign(secret, path, 60)
    refused = {
        good[:-1] + ("A" if good[-1] != "A" else "B"): "link_invalid",
        good[:-1] + "%C3%A9": "link_invalid",
        good.replace(artifact.id, other.id): "link_invalid",
        good.replace("expires=", "expires=9"): "link_invalid",
        good.replace("expires=", "expires=1&expires="): "link_invalid",
        good.replace("expires=", "expires=x"): "link_invalid",
        f"{path}?signature=": "link_invalid",
        f"{path}?expires=&signature=": "link_invalid",
        sign(secret, path, 60, method="PUT"): "link_invalid",
        sign(b"another secret", path, 60): "link_invalid",
        sign(secret, path, -2): "link_expired",
    }
    for address, code in refused.items():
        answer = await office.client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (401, code), address
        with_key = await office.get(address)
        assert with_key.status_code == 401, "a wrong link is not mended by a key"
    assert (await office.client.get(path)).status_code == 401
    assert (await office.client.get(f"{good}&more=1")).status_code == 200


async def test_a_signed_link_to_nothing_is_not_found(office: Office) -> None:
    path = f"/api/v1/artifacts/{new_id()}/content"
    answer = await office.client.get(sign(office.platform.secret, path, 60))
    assert answer.status_code == 404


async def test_anothers_artifact_is_not_there(office: Office, other_office: Office) -> None:
    artifact = await office.artifact(b"mine")
    for suffix in ("", "/content"):
        answer = await other_office.get(f"/api/v1/artifacts/{artifact.id}{suffix}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_bytes_that_are_gone_say_so(office: Office) -> None:
    artifact = await office.artifact(b"x" * 5000)
    office.platform.store.delete([artifact.key])
    answer = await office.get(f"/api/v1/artifacts/{artifact.id}/content")
    assert (answer.status_code, answer.json()["code"]) == (410, "content_lost")


async def test_a_reader_that_leaves_stops_the_reading(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = await office.artifact(bytes(40 * 1024**2))
    url = sign(office.platform.secret, f"/api/v1/artifacts/{artifact.id}/content", 60)
    steps, closed = 0, asyncio.Event()
    really = office.platform.store.read

    async def counted(key: str, start: int, stop: int):
        nonlocal steps
        try:
            async for step in really(key, start, stop):
                steps += 1
                yield step
        finally:
            closed.set()

    monkeypatch.setattr(office.platform.store, "read", counted)
    async with office.client.stream("GET", url) as answer:
        async for _ in answer.aiter_raw(1000):
            break
    async with asyncio.timeout(10):
        await closed.wait()
    assert steps < 20
