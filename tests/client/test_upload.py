"""Large files: an upload of their own, gone on with where it broke."""

import os
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from tests.client.conftest import done
from tests.client.fake import JOB_ID, FakePlatform, Seen, answer, cut, file, job, problem
from usina_client import NotFoundError, TransportError, UnavailableError, _upload
from usina_client._async import upload as async_upload
from usina_client._sync import upload as sync_upload

CONTENT = os.urandom(700_000)
OPEN = "POST /api/v1/files/uploads"
PUT = "PUT /api/v1/uploads/f1"
COMPLETE = "POST /api/v1/files/uploads/f1/complete"
BUCKET = "PUT /bucket/f1"


@pytest.fixture(autouse=True)
def little_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_upload, "LARGE_BYTES", len(CONTENT))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bed.stl"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def opens(platform: FakePlatform) -> FakePlatform:
    """A platform whose store is a folder."""
    opens_at(platform, f"{platform.url}/api/v1/uploads/f1?signature=s")
    return platform


def opens_at(platform: FakePlatform, url: str) -> None:
    ticket = {
        "id": "f1",
        "upload_url": url,
        "method": "PUT",
        "headers": {"Content-Type": "model/stl"},
        "expires_at": "2026-01-01T00:00:00Z",
    }
    platform.on(OPEN, answer(ticket, 201))
    platform.on(COMPLETE, answer(file(CONTENT), 201))


def more_after(count: int) -> Response:
    return Response(status_code=308, headers={"range": f"bytes=0-{count - 1}"} if count else {})


def put(platform: FakePlatform, route: str = PUT) -> list[tuple[str | None, bytes]]:
    return [(seen.headers.get("content-range"), seen.body) for seen in platform.requests(route)]


async def test_it_goes_to_its_own_address_without_the_key(
    client: Any, opens: FakePlatform, path: Path
) -> None:
    opens.on(PUT, answer({"received_bytes": len(CONTENT), "complete": True}))
    told: list[tuple[int, int | None]] = []

    await done(client.files.upload(path, on_progress=lambda *pair: told.append(pair)))

    assert opens.requests(OPEN)[0].json == {
        "name": "bed.stl",
        "size_bytes": len(CONTENT),
        "media_type": None,
    }
    assert put(opens) == [(f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", CONTENT)]
    [sent] = opens.requests(PUT)
    assert "x-api-key" not in sent.headers
    assert sent.headers["content-type"] == "model/stl"
    assert sent.headers["content-length"] == str(len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert opens.seen[-1].path == COMPLETE.partition(" ")[2]


async def test_it_goes_on_with_what_the_platform_has_not(
    client: Any, opens: FakePlatform, path: Path
) -> None:
    opens.on(PUT, more_after(200_000), more_after(450_000), answer({}))
    told: list[int] = []

    await done(client.files.upload(path, on_progress=lambda sent, _: told.append(sent)))

    assert [body for _, body in put(opens)] == [CONTENT, CONTENT[200_000:], CONTENT[450_000:]]
    assert put(opens)[1][0] == f"bytes 200000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert told[-1] == len(CONTENT)


async def test_after_a_broken_connection_it_asks_how_far_it_came(
    client: Any, opens: FakePlatform, path: Path
) -> None:
    opens.on(PUT, cut(b" " * 9, 3), more_after(300_000), answer({}))

    await done(client.files.upload(path))

    first, asked, last = put(opens)
    assert first[1] == CONTENT
    assert asked == (f"bytes */{len(CONTENT)}", b"")
    assert last[1] == CONTENT[300_000:]


async def test_the_answer_that_was_lost_was_the_last(
    client: Any, opens: FakePlatform, path: Path
) -> None:
    opens.on(PUT, cut(b" " * 9, 3), answer({"complete": True}))

    await done(client.files.upload(path))

    assert len(put(opens)) == 2


async def test_a_bucket_takes_the_whole_again(
    client: Any, platform: FakePlatform, path: Path
) -> None:
    opens_at(platform, f"{platform.url}/bucket/f1?X-Amz-Signature=s")
    platform.on(BUCKET, Response("<Error/>", 503), cut(b" " * 9, 3), Response(status_code=200))

    await done(client.files.upload(path))

    assert put(platform, BUCKET) == [(None, CONTENT)] * 3


async def test_a_refusal_is_told_at_once(client: Any, opens: FakePlatform, path: Path) -> None:
    opens.on(PUT, problem(404, "not_found"))

    with pytest.raises(NotFoundError):
        await done(client.files.upload(path))

    assert len(put(opens)) == 1


async def test_a_platform_that_stays_away_is_given_up(
    client: Any, opens: FakePlatform, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (async_upload, sync_upload):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    opens.on(PUT, cut(b" " * 9, 3))

    with pytest.raises((TransportError, UnavailableError)):
        await done(client.files.upload(path))


async def test_a_job_with_a_large_input_names_it_by_id(
    client: Any, opens: FakePlatform, path: Path
) -> None:
    opens.on(PUT, answer({}))
    opens.on("POST /api/v1/jobs", answer(job(), 202))

    submitted = await done(client.jobs.submit("relief-v1", inputs={"image": path}))

    assert submitted.id == JOB_ID
    last: Seen = opens.seen[-1]
    assert last.json["inputs"] == {"image": "f1"}
