"""What only a server can show that checks signatures and tells true times: `make test-s3` runs it.

moto lets every signature pass, whatever its end, and lists uploads in parts as years old.
"""

import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.files.conftest import Desk, desk
from tests.files.test_sweep import KEPT, sweeps_beside_work
from tests.files.test_upload import DATA
from tests.storage.s3_server import access, fresh_bucket
from tests.storage.stores import STORES, Opening
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Place
from usina.kernel.storage.store import Presigned

__all__ = ["desk"]

KEY = "uploads/organization/upload/sent"
OTHER = "uploads/organization/another/sent"
CONTENT = b"0123456789"


@pytest.fixture
def bucket() -> Generator[S3Store]:
    opened = S3Store(S3Place.of(f"s3://{fresh_bucket()}/usina"), access())
    yield opened
    opened.close()


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    return STORES["s3"](tmp_path)


def ask(presigned: Presigned, content: bytes = b"", **more: str) -> httpx2.Response:
    headers = {**presigned.headers, **more}
    if "content-length" in headers:
        headers["content-length"] = str(len(content))
    return httpx2.request(presigned.method, presigned.url, headers=headers, content=content)


def upload_of(bucket: S3Store, size: int | None = len(CONTENT), seconds: int = 60) -> Presigned:
    presigned = bucket.presigned_put(KEY, seconds, size)
    assert presigned is not None
    return presigned


def test_an_upload_as_it_was_signed_is_taken(bucket: S3Store) -> None:
    assert ask(upload_of(bucket), CONTENT).status_code == 200
    assert bucket.size(KEY) == len(CONTENT)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""])
def test_an_upload_of_another_size_is_refused(bucket: S3Store, content: bytes) -> None:
    assert ask(upload_of(bucket), content).status_code == 403
    assert bucket.size(KEY) is None


def test_an_upload_of_a_type_that_could_run_is_refused(bucket: S3Store) -> None:
    refused = ask(upload_of(bucket), CONTENT, **{"content-type": "text/html"})
    assert refused.status_code == 403
    assert bucket.size(KEY) is None


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("X-Amz-Expires=", "X-Amz-Expires=9"),
        (KEY, OTHER),
    ],
)
def test_an_address_that_was_changed_is_refused(bucket: S3Store, part: str, other: str) -> None:
    signed = upload_of(bucket)
    changed = Presigned(signed.method, signed.url.replace(part, other), signed.headers)
    assert changed.url != signed.url
    assert ask(changed, CONTENT).status_code == 403
    assert list(bucket.list("")) == []


def test_an_address_is_good_for_its_method_alone(bucket: S3Store) -> None:
    bucket.put(KEY, CONTENT)
    signed = upload_of(bucket)
    assert ask(Presigned("DELETE", signed.url, signed.headers)).status_code == 403
    assert ask(Presigned("GET", signed.url, {})).status_code == 403
    assert bucket.size(KEY) == len(CONTENT)
    assert httpx2.get(signed.url.partition("?")[0]).status_code == 403


def test_a_ticket_takes_any_size_and_type(bucket: S3Store) -> None:
    sent = ask(upload_of(bucket, None), CONTENT * 7, **{"content-type": "image/png"})
    assert sent.status_code == 200
    assert bucket.size(KEY) == 7 * len(CONTENT)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_after_its_end_an_address_opens_nothing(bucket: S3Store, method: str) -> None:
    bucket.put(KEY, CONTENT)
    signed = bucket.presigned_get(KEY, 1, "image/png", "inline")
    if method == "PUT":
        signed = upload_of(bucket, seconds=1)
    until = time.monotonic() + 30
    while (answer := ask(signed, CONTENT if method == "PUT" else b"")).status_code != 403:
        assert time.monotonic() < until, "it never ends"
    assert CONTENT not in answer.content


def test_what_a_download_says_of_itself_can_not_be_changed(bucket: S3Store) -> None:
    bucket.put(KEY, CONTENT)
    signed = bucket.presigned_get(KEY, 60, "text/plain", "attachment")
    assert ask(signed).headers["content-type"] == "text/plain"
    changed = signed.url.replace("text%2Fplain", "text%2Fhtml")
    assert changed != signed.url
    assert httpx2.get(changed).status_code == 403


def test_the_secret_is_in_no_address(bucket: S3Store) -> None:
    query = urlsplit(upload_of(bucket).url).query
    assert access().secret_key not in query


async def test_sweeps_let_uploads_in_parts_be_that_are_under_way(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await sweeps_beside_work(desk, tmp_path, monkeypatch, DATA) == KEPT
