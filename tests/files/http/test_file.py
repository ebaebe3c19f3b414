"""Files over HTTP."""

import asyncio
import hashlib
import os
import re

import pytest

from tests.files.http.conftest import MAX_BYTES, Office

pytestmark = pytest.mark.asyncio(loop_scope="session")

PNG = b"\x89PNG\r\n\x1a\n" + os.urandom(3 * 1024**2)
BOUNDARY = b"--boundary"


def form(*parts: bytes) -> dict[str, object]:
    """A multipart body as it is written, without an end unless a part brings it."""
    return {
        "content": b"".join(parts),
        "headers": {"content-type": "multipart/form-data; boundary=boundary"},
    }


def part(content: bytes, disposition: str = 'form-data; name="file"; filename="a"') -> bytes:
    return b"%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (
        BOUNDARY,
        disposition.encode(),
        content,
    )


END = BOUNDARY + b"--\r\n"


async def test_a_file_comes_back_as_it_was_sent(office: Office) -> None:
    answer = await office.post(
        "/api/v1/files", files={"file": ("../my photo\n.jpg", PNG, "image/jpeg")}
    )
    assert answer.status_code == 201
    file = answer.json()
    assert answer.headers["location"] == f"/api/v1/files/{file['id']}"
    assert list(file) == ["id", "name", "media_type", "size_bytes", "sha256", "created_at"]
    assert (file["media_type"], file["size_bytes"]) == ("image/png", len(PNG))
    assert "/" not in file["name"]
    assert file["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", file["created_at"])
    path = f"/api/v1/files/{file['id']}"
    for slash in ("", "/"):
        assert (await office.get(path + slash)).json() == file
    content = await office.get(path + "/content")
    assert content.content == PNG
    assert content.headers["content-type"] == "image/png"
    assert (await office("DELETE", path)).status_code == 204
    assert (await office.get(path)).status_code == 404
    assert await office.is_empty()


@pytest.mark.parametrize(
    ("parts", "status", "code", "pointer"),
    [
        ([part(b""), END], 422, "empty_file", "/file"),
        ([END], 422, "validation_failed", "/file"),
        ([part(b"x", 'form-data; name="photo"'), END], 422, "unknown_field", "/photo"),
        ([part(b"x"), part(b"y"), END], 422, "validation_failed", "/file"),
        ([part(b"x"), part(b"y", 'form-data; name="note"'), END], 422, "unknown_field", "/note"),
        ([part(b"x"), part(b"/etc/passwd", 'form-data; name="filepath"'), END], 422,
         "unknown_field", "/filepath"),
        ([part(b"x")], 400, "malformed_multipart", None),
        ([], 400, "malformed_multipart", None),
        ([b"no form at all"], 400, "malformed_multipart", None),
        ([part(b"x", "attachment"), END], 400, "malformed_multipart", None),
        ([part(b"x", "form-data"), END], 400, "malformed_multipart", None),
        ([part(b"x", 'form-data; name="\xff"').replace(b"\xc3\xbf", b"\xff"), END], 400,
         "malformed_multipart", None),
        ([BOUNDARY, b"\r\n", b"X: " + b"y" * 9000, b"\r\n\r\nx\r\n", END], 400,
         "malformed_multipart", None),
        ([BOUNDARY, b"\r\n", b"".join(b"X%d: y\r\n" % n for n in range(40)), b"\r\nx\r\n", END],
         400, "malformed_multipart", None),
        ([part(b"x", f'form-data; name="f{n}"') for n in range(300)], 400,
         "malformed_multipart", None),
    ],
)  # fmt: skip
async def test_a_bad_form_is_refused_and_leaves_nothing(
    office: Office, parts: list[bytes], status: int, code: str, pointer: str | None
) -> None:
    answer = await office.post("/api/v1/files", **form(*parts))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in problem.get("errors", [])] == [pointer] * bool(pointer)
    assert await office.is_empty()


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "malformed_multipart"),
        ("multipart/form-data; boundary=", 400, "malformed_multipart"),
        (f"multipart/form-data; boundary={'b' * 71}", 400, "malformed_multipart"),
    ],
)
async def test_another_content_type_is_refused(
    office: Office, content_type: str, status: int, code: str
) -> None:
    headers = {"content-type": content_type}
    answer = await office.post("/api/v1/files", content=part(b"x") + END, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_greatest_file_is_taken_and_one_byte_more_is_not(office: Office) -> None:
    file = await office.upload(bytes(MAX_BYTES))
    assert file["size_bytes"] == MAX_BYTES
    await office("DELETE", f"/api/v1/files/{file['id']}")
    answer = await office.post("/api/v1/files", files={"file": ("a", bytes(MAX_BYTES + 1))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await office.is_empty()


async def test_what_says_to_be_too_large_is_refused_unread(office: Office) -> None:
    reader, writer = await connect(office)
    writer.write(head(office, 10**12))
    status = await reader.readline()
    assert status.split()[1] == b"413"
    writer.close()
    assert await office.is_empty()


@pytest.mark.parametrize("sent", [0, 1000, 10 * 1024**2])
async def test_a_client_that_goes_half_way_leaves_nothing(office: Office, sent: int) -> None:
    _, writer = await connect(office)
    writer.write(head(office, 12 * 1024**2) + part(b"")[:-2] + bytes(sent))
    await writer.drain()
    if sent > 1000:
        await until_something_is_written(office)
    writer.close()
    await writer.wait_closed()
    assert await office.is_empty()


async def connect(office: Office) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = office.client.base_url
    return await asyncio.open_connection(url.host, url.port)


def head(office: Office, length: int) -> bytes:
    return (
        "POST /api/v1/files HTTP/1.1\r\nHost: x\r\n"
        f"x-api-key: {office.key}\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=boundary\r\n\r\n"
    ).encode()


async def until_something_is_written(office: Office) -> None:
    async with asyncio.timeout(10):
        while not office.unfinished():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("suffix", ["", "/content"])
@pytest.mark.parametrize("file_id", ["1", "x" * 300, "..%2f..%2fetc%2fpasswd", "uploads"])
async def test_an_id_of_nothing_is_not_found(office: Office, suffix: str, file_id: str) -> None:
    answer = await office.get(f"/api/v1/files/{file_id}{suffix}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_anothers_file_answers_as_none_does(office: Office, other_office: Office) -> None:
    file = await office.upload(b"mine")
    path = f"/api/v1/files/{file['id']}"
    none = "/api/v1/files/01981c3e-1b2c-7a55-8e11-5d6c7b8a9f00"
    for method, suffix in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        foreign = (await other_office(method, path + suffix)).json()
        unknown = (await other_office(method, none + suffix)).json()
        for field in ("instance", "request_id"):
            del foreign[field], unknown[field]
        assert foreign == unknown
        assert foreign["status"] == 404
    assert (await office.get(path)).status_code == 200


async def test_a_file_that_an_unfinished_job_reads_stays(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await office.upload(b"read me")
    path = f"/api/v1/files/{file['id']}"
    with monkeypatch.context() as patched:
        patched.setattr(office.platform.files, "_in_use", lambda tx, id_: id_ == file["id"])
        answer = await office("DELETE", path)
    assert (answer.status_code, answer.json()["code"]) == (409, "file_in_use")
    assert (await office("DELETE", path)).status_code == 204


async def test_the_same_key_and_content_make_one_file(office: Office) -> None:
    key = {"headers": {"idempotency-key": "once"}}
    first = await office.upload(b"content", **key)
    again = await office.post("/api/v1/files", files={"file": ("a.bin", b"content")}, **key)
    assert (again.status_code, again.json()) == (201, first)
    assert len(office.objects()) == await office.rows() == 1
    for name, content in (("a.bin", b"other"), ("b.bin", b"content")):
        answer = await office.post("/api/v1/files", files={"file": (name, content)}, **key)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert len(office.objects()) == await office.rows() == 1
