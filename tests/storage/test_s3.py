"""What a bucket must do besides: many platforms in one, stale uploads, links, refusals, memory."""

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tests.storage.s3_server import access, fresh_bucket
from usina.http_kit.bytes import content_headers
from usina.kernel.errors import Unavailable
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.open import open_store
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Place
from usina.kernel.storage.s3_calls import Patience, S3Calls
from usina.kernel.storage.s3_writer import PART_BYTES
from usina.kernel.storage.store import Presigned

KEY = "files/organization/one"
LATER = datetime.now(UTC) + timedelta(hours=1)
MEMORY_BYTES = 64 * 1024**2
"""Far less than either object; what two parts, the client's buffers and the allocator need."""


@pytest.fixture
def bucket() -> str:
    return fresh_bucket()


@pytest.fixture
def store(bucket: str) -> Generator[S3Store]:
    opened = S3Store(S3Place.of(f"s3://{bucket}/usina"), access())
    yield opened
    opened.close()


def test_platforms_in_one_bucket_do_not_see_each_other(bucket: str, store: S3Store) -> None:
    other = S3Store(S3Place.of(f"s3://{bucket}/usina2"), access())
    other.put(KEY, b"theirs")
    writer = other.writer(KEY)
    writer.write(b"x" * PART_BYTES)
    store.put("files/o/ours", b"ours")
    assert [stored.key for stored in store.list("")] == ["files/o/ours"]
    assert store.size(KEY) is None
    store.delete([KEY])
    assert store.clear_unfinished(LATER) == 0
    writer.commit()
    assert other.size(KEY) == PART_BYTES
    other.close()


def test_what_a_killed_writer_leaves_is_aborted_by_its_age(bucket: str, store: S3Store) -> None:
    writer = store.writer(KEY)
    writer.write(b"x" * (PART_BYTES + 1))
    calls = S3Calls(access(), bucket, Patience())
    (left,) = calls.unfinished("usina/")
    assert left.key == f"usina/{KEY}"
    assert store.clear_unfinished(left.begun_at) == 0
    assert store.clear_unfinished(left.begun_at + timedelta(seconds=1)) == 1
    assert list(calls.unfinished("")) == []
    calls.close()


def test_many_unfinished_uploads_are_all_found(bucket: str, store: S3Store) -> None:
    calls = S3Calls(access(), bucket, Patience())
    begun = {calls.begin(f"usina/files/o/{number % 3}", "write") for number in range(5)}
    assert {left.upload_id for left in calls.unfinished("usina/", page_size=2)} == begun
    assert store.clear_unfinished(LATER) == 5
    assert list(calls.unfinished("")) == []
    calls.close()


def test_a_writer_that_gives_up_takes_no_other_with_it(store: S3Store) -> None:
    first, second = store.writer(KEY), store.writer(KEY)
    for writer in (first, second):
        writer.write(b"x" * PART_BYTES)
    first.abort()
    second.write(b"y")
    second.commit()
    assert store.size(KEY) == PART_BYTES + 1


def test_parts_are_put_together_in_order(store: S3Store) -> None:
    content = bytes(range(256)) * (PART_BYTES // 100)
    writer = store.writer(KEY)
    for start in range(0, len(content), 3_000_001):
        writer.write(content[start : start + 3_000_001])
    writer.commit()
    assert b"".join(store.chunks(KEY, 0, len(content))) == content


def test_memory_stays_flat_for_large_objects(bucket: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.storage.large", bucket, str(tmp_path / "fetched")]
    server = f"{access().access_key} {access().secret_key} {access().url}"
    environment = {**os.environ, "USINA_TEST_S3": server}
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    written_bytes, fetched_bytes, grown_bytes = (int(word) for word in told.split())
    assert (written_bytes, fetched_bytes) == (200_000_000, 100_000_000)
    assert grown_bytes < MEMORY_BYTES


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://Bucket",
        "s3://bucket/a/../b",
        "s3://bucket//a",
        "s3://bucket/a b",
        "s3://user:secret@bucket",
        "s3://bucket/a?x=1",
        "https://bucket/a",
    ],
)
def test_what_is_no_address_of_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        S3Place.of(url)


def test_the_address_chooses_the_store(bucket: str, tmp_path: Path) -> None:
    for url in (f"s3://{bucket}/usina", (tmp_path / "a folder").as_uri()):
        store = open_store(url, access())
        store.put(KEY, b"1")
        store.close()
    assert (tmp_path / "a folder" / KEY).read_bytes() == b"1"
    with pytest.raises(ValueError, match="S3_ACCESS_KEY"):
        open_store(f"s3://{bucket}", None)


def test_a_bucket_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(Unavailable, match="its bucket does not exist") as refusal:
        S3Store(S3Place.of("s3://usina-never-made"), access())
    assert refusal.value.code == "storage_refused"
    assert refusal.value.retry_after_seconds


def _request(presigned: Presigned, content: bytes = b"") -> httpx2.Response:
    return httpx2.request(
        presigned.method, presigned.url, headers=dict(presigned.headers), content=content
    )


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a photo.png", "image/png"), ("página.html", "text/html"), ("notes.txt", "text/plain")],
)
def test_a_presigned_download_has_the_headers_of_the_platforms_own(
    store: S3Store, name: str, media_type: str
) -> None:
    store.put(KEY, b"<script>")
    content_type, disposition = content_headers(name, media_type)
    answer = _request(store.presigned_get(KEY, 60, content_type, disposition))
    assert answer.content == b"<script>"
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"] == disposition
    assert disposition.startswith("attachment") == (media_type == "text/html")


def test_a_presigned_upload_is_stored_without_a_type_that_runs(store: S3Store) -> None:
    presigned = store.presigned_put(KEY, 60, 8)
    assert presigned is not None
    assert presigned.headers == {"content-length": "8", "content-type": "application/octet-stream"}
    assert _request(presigned, b"<script>").status_code == 200
    assert b"".join(store.chunks(KEY, 0, 8)) == b"<script>"
    plain = store.presigned_get(KEY, 60, "", "")
    assert "text/html" not in _request(plain).headers.get("content-type", "")


def test_presigned_addresses_are_those_that_clients_reach(bucket: str) -> None:
    outside = replace(access(), public_endpoint="https://files.example.org")
    store = S3Store(S3Place.of(f"s3://{bucket}/usina"), outside)
    for presigned in (
        store.presigned_get(KEY, 60, "a/b", "inline"),
        store.presigned_put(KEY, 9, 1),
    ):
        assert presigned is not None
        assert presigned.url.startswith(f"https://files.example.org/{bucket}/usina/{KEY}?")
    store.put(KEY, b"through the endpoint within")
    assert store.size(KEY) == 27
    store.close()


def test_a_folder_presigns_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    assert store.presigned_get(KEY, 60, "image/png", "inline") is None
    assert store.presigned_put(KEY, 60, 8) is None
    store.close()


def test_a_key_that_the_platform_never_makes_is_not_presigned(store: S3Store) -> None:
    with pytest.raises(ValueError, match="not a key"):
        store.presigned_get("files/../../other", 60, "image/png", "inline")
    with pytest.raises(ValueError, match="not a key"):
        store.presigned_put("files/a b", 60, 8)


def test_a_large_object_is_copied_in_parts_that_are_seen_when_all_are_there(
    bucket: str, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.storage.s3_copy.STEP_BYTES", 5 * 1024**2)
    content = os.urandom(12 * 1024**2 + 1)
    store.put(KEY, content)
    store.copy(KEY, "files/organization/two")
    assert b"".join(store.chunks("files/organization/two", 0, len(content))) == content
    calls = S3Calls(access(), bucket, Patience())
    assert list(calls.unfinished("")) == []
    calls.close()


def test_a_copy_has_no_type_that_a_client_gave(store: S3Store) -> None:
    sent = store.presigned_put(KEY, 60, None)
    assert sent is not None
    headers = {"content-type": "text/html"}
    httpx2.put(sent.url, content=b"<script>", headers=headers).raise_for_status()
    store.copy(KEY, "files/organization/two")
    plain = _request(store.presigned_get("files/organization/two", 60, "", ""))
    assert plain.headers.get("content-type", "") in {"", "application/octet-stream"}


def test_what_one_request_can_not_bring_is_not_presigned(store: S3Store) -> None:
    assert store.presigned_put(KEY, 60, 5 * 1024**3) is not None
    assert store.presigned_put(KEY, 60, 5 * 1024**3 + 1) is None


def test_an_address_lasts_a_week_at_most(store: S3Store) -> None:
    presigned = store.presigned_get(KEY, 30 * 24 * 3600, "a/b", "inline")
    assert "X-Amz-Expires=604800&" in presigned.url
