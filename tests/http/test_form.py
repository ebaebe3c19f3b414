"""One call from a file on disk to a running job, and what a refused one leaves: nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator
from io import BytesIO
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image

from tests.http.conftest import STORES, Api, Running, at_work, settings_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

Parts = list[tuple[str, Any]]


def _png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = _png()


async def _send(api: Api, parts: Parts, **headers: str) -> httpx2.Response:
    return await api.post("/api/v1/jobs", files=parts, headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=sorted(STORES))
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Running]:
    chosen = STORES[request.param]()
    async with at_work(settings_of(tmp_path_factory.mktemp("form"), **chosen)) as made:
        yield made


def _objects(running: Running) -> set[str]:
    return {stored.key for stored in running.platform.store.list("files/")}


def _form(**fields: Any) -> Parts:
    return [(name, (None, value)) for name, value in fields.items()]


async def test_from_a_file_to_a_job(api: Api) -> None:
    parts = [("image", ("chair.png", PNG, "image/jpeg"))]
    fields = _form(model="picture-v1", params='{"texture_size": 512}', labels='{"k": "v"}')
    answer = await _send(api, parts + fields + _form(priority="-3", timeout_seconds="60"))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["model"], job["labels"], job["priority"]) == ("picture-v1", {"k": "v"}, -3)
    assert job["params"]["texture_size"] == 512
    file = (await api.get(f"/api/v1/files/{job['inputs']['image']}")).json()
    assert (file["name"], file["media_type"]) == ("chair.png", "image/png")
    assert file["size_bytes"] == len(PNG)
    assert (await api.ended(job["id"]))["status"] == "SUCCEEDED"


async def test_a_repeated_part_is_a_list(api: Api) -> None:
    pictures = [(name, (f"{name}.png", PNG)) for name in ("others", "image", "others", "others")]
    job = (await _send(api, [*pictures, *_form(model="picture-v1")])).json()
    assert isinstance(job["inputs"]["image"], str)
    assert len(set(job["inputs"]["others"])) == 3
    ended = await api.ended(job["id"])
    report = next(a for a in ended["artifacts"] if a["name"] == "report.json")
    assert (await api.client.get(report["url"])).json()["names"] == {"image": 1, "others": 3}


async def test_without_a_file(api: Api) -> None:
    answer = await _send(api, _form(model="echo-v1", params='{"seconds": 0}', max_attempts="1"))
    assert (answer.status_code, answer.json()["max_attempts"]) == (202, 1)


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({}, "validation_failed", "/model"),
        ({"model": "nothing-v1"}, "unknown_model", "/model"),
        ({"model": "echo-v1"}, "unknown_field", "/inputs/image"),
        ({"model": "picture-v1", "params": "{"}, "validation_failed", "/params"),
        ({"model": "picture-v1", "params": "[]"}, "validation_failed", "/params"),
        ({"model": "picture-v1", "params": '{"a": NaN}'}, "validation_failed", "/params"),
        ({"model": "picture-v1", "params": '{"nothing": 1}'}, "unknown_field", "/params/nothing"),
        ({"model": "picture-v1", "priority": "high"}, "validation_failed", "/priority"),
        ({"model": "picture-v1", "priority": "1.5"}, "validation_failed", "/priority"),
        ({"model": "picture-v1", "labels": '{"k": 1}'}, "validation_failed", "/labels/k"),
        ({"model": "picture-v1", "mask": "an id"}, "unknown_field", "/mask"),
        ({"model": "picture-v1", "organization_id": "x"}, "unknown_field", "/organization_id"),
        ({"model": "picture-v1", "callback_url": "x"}, "validation_failed", "/callback_url"),
    ],
)
async def test_refused_it_leaves_no_file(
    running: Running, api: Api, fields: dict[str, str], code: str, pointer: str
) -> None:
    before = _objects(running)
    for parts in (
        [("image", ("a.png", PNG)), *_form(**fields)],
        [*_form(**fields), ("image", ("a.png", PNG))],
    ):
        answer = await _send(api, parts)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert _objects(running) == before


async def test_what_the_bytes_say_is_refused_at_once(running: Running, api: Api) -> None:
    before = _objects(running)
    for content, code in ((b"hello", "input_media_type"), (b"", "empty_file")):
        parts = [*_form(model="picture-v1"), ("image", ("a.png", content, "image/png"))]
        answer = await _send(api, parts)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["errors"][0]["pointer"] == "/inputs/image"
    assert _objects(running) == before


async def test_one_id_or_a_list(running: Running, api: Api) -> None:
    before = _objects(running)
    twice = [("image", ("a.png", PNG)), ("image", ("b.png", PNG))]
    answer = await _send(api, twice + _form(model="picture-v1"))
    assert answer.json()["errors"][0]["pointer"] == "/inputs/image"
    fields = [*_form(model="echo-v1"), *_form(model="echo-v1")]
    answer = await _send(api, fields)
    assert answer.json()["errors"][0]["pointer"] == "/model"
    assert _objects(running) == before


async def test_the_same_form_again(running: Running, api: Api) -> None:
    parts = [("image", ("a.png", PNG)), *_form(model="picture-v1", labels='{"a": "b"}')]
    first = await _send(api, parts, **{"idempotency-key": "k"})
    assert first.status_code == 202
    stored = _objects(running)
    again = await _send(api, parts[::-1], **{"idempotency-key": "k"})
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    for changed in (
        [("image", ("a.png", PNG + b"x")), *parts[1:]],
        [*parts[:1], *_form(model="picture-v1", labels='{"a": "c"}')],
    ):
        answer = await _send(api, changed, **{"idempotency-key": "k"})
        assert answer.json()["code"] == "idempotency_key_reused"
    assert _objects(running) == stored
    await api.ended(first.json()["id"])


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=b"],
)
async def test_forms_that_can_not_be_read(api: Api, content_type: str) -> None:
    for body in (b"", b"--b\r\n", b"x" * 100_000, json.dumps({"model": "echo-v1"}).encode()):
        headers = {"content-type": content_type}
        answer = await api.post("/api/v1/jobs", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_multipart")


async def test_a_form_that_stops_half_way_leaves_nothing(running: Running, api: Api) -> None:
    before = _objects(running)
    stopped = asyncio.Event()

    async def half() -> AsyncGenerator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        yield PNG * 100
        stopped.set()
        raise ConnectionError

    headers = {"content-type": "multipart/form-data; boundary=b", "x-api-key": api.key}
    with pytest.raises(ConnectionError):
        await api.client.post("/api/v1/jobs", content=half(), headers=headers)
    assert stopped.is_set()
    assert (await api.get("/api/v1/jobs")).json()["items"] == []
    assert _objects(running) == before
