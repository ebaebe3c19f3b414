"""The calls of S3 that obstore does not have: multipart uploads one by one, and the server's clock.

obstore begins and ends multipart uploads by itself and tells nobody their ids, so they could not
be aborted, nor stale ones found. Every call is signed with the hash of its body, so a part that was
damaged on its way is refused.
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from xml.sax.saxutils import escape

import httpx2

from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.s3_failure import UploadGone, failure
from usina.kernel.storage.signature import encoded, signed_headers
from usina.kernel.storage.store import Data, ObjectMissing

UNTYPED: Final = "application/octet-stream"
_WRITE: Final = "x-amz-meta-usina-write"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may keep us waiting: for a connection, for an answer, and how often."""

    connect_seconds: float = 5
    answer_seconds: float = 30
    pauses_seconds: tuple[float, ...] = (0.1, 0.5, 2)
    """What is waited before each further try."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A multipart upload that was begun; ``key`` is the server's, prefix and all."""

    key: str
    upload_id: str
    begun_at: datetime


class S3Calls:
    """Blocking, and good for several threads at once. Keys are the server's, prefix and all."""

    def __init__(self, access: S3Access, bucket: str, patience: Patience) -> None:
        self._access = access
        self._bucket = bucket
        self._url = f"{access.url}/{bucket}"
        self._patience = patience
        self._http = httpx2.Client(
            timeout=httpx2.Timeout(patience.answer_seconds, connect=patience.connect_seconds)
        )

    def now(self) -> datetime:
        """The server's time, in whole seconds: the clock that objects get theirs from.

        Raises ``Unavailable`` when the bucket can not be looked into.
        """
        answer = self._send("GET", "", {"list-type": "2", "max-keys": "1"})
        told = answer.headers.get("date")
        return parsedate_to_datetime(told) if told else datetime.now(UTC)

    def begin(self, key: str, write: str) -> str:
        """Begins a multipart upload; ``write`` marks the object as this writer's."""
        answer = self._send("POST", key, {"uploads": ""}, {_WRITE: write})
        return _text(_document(answer), "UploadId")

    def part(self, key: str, upload_id: str, number: int, data: Data) -> str:
        """Sends one part, counted from 1; returns its tag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        return self._send("PUT", key, query, body=bytes(data)).headers["etag"]

    def copy(self, source: str, key: str) -> None:
        """The object again under another key, without its type and metadata."""
        headers = {"x-amz-metadata-directive": "REPLACE", "content-type": UNTYPED}
        self._send("PUT", key, {}, {**self._source(source), **headers})

    def part_copied(
        self, source: str, key: str, upload_id: str, number: int, span: tuple[int, int]
    ) -> str:
        """One part out of an object's bytes, from the first of ``span`` to before the last."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        headers = {"x-amz-copy-source-range": f"bytes={span[0]}-{span[1] - 1}"}
        answer = self._send("PUT", key, query, {**self._source(source), **headers})
        return _text(_document(answer), "ETag")

    def _source(self, key: str) -> dict[str, str]:
        return {"x-amz-copy-source": f"/{self._bucket}/{key}"}

    def complete(self, key: str, upload_id: str, tags: Sequence[str], write: str) -> None:
        """Makes the object out of its parts; also when an earlier answer to this was lost."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        try:
            self._send("POST", key, {"uploadId": upload_id}, body=body)
        except UploadGone:
            if self._written_by(key) != write:
                raise

    def _written_by(self, key: str) -> str | None:
        try:
            return self._send("HEAD", key, {}).headers.get(_WRITE)
        except ObjectMissing:
            return None

    def abort(self, key: str, upload_id: str) -> None:
        """Removes the parts of an upload; one that is not there is no error."""
        with suppress(UploadGone):
            self._send("DELETE", key, {"uploadId": upload_id})

    def unfinished(self, prefix: str, page_size: int = 1000) -> Iterator[Unfinished]:
        """Every multipart upload under the prefix that is neither completed nor aborted."""
        query = {"uploads": "", "prefix": prefix, "max-uploads": str(page_size)}
        while True:
            page = _document(self._send("GET", "", query))
            for found in page.iterfind("{*}Upload"):
                begun_at = datetime.fromisoformat(_text(found, "Initiated"))
                yield Unfinished(_text(found, "Key"), _text(found, "UploadId"), begun_at)
            if page.findtext("{*}IsTruncated") != "true":
                return
            query["key-marker"] = _text(page, "NextKeyMarker")
            query["upload-id-marker"] = _text(page, "NextUploadIdMarker")

    def close(self) -> None:
        self._http.close()

    def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> httpx2.Response:
        """Sends it until there is an answer that another try would not change."""
        url = f"{self._url}/{key}" if key else self._url
        for pause in self._patience.pauses_seconds:
            try:
                answer = self._send_once(method, url, query, headers or {}, body)
            except httpx2.TransportError:
                pass
            else:
                if not _passing(answer):
                    return _checked(key, answer)
            time.sleep(pause)
        try:
            return _checked(key, self._send_once(method, url, query, headers or {}, body))
        except httpx2.TransportError as error:
            raise failure(key, repr(error)) from error

    def _send_once(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpx2.Response:
        signed = signed_headers(self._access, method, url, query, headers, body, datetime.now(UTC))
        full = f"{url}?{encoded(query)}" if query else url
        return self._http.request(method, full, headers=signed, content=body)


def _passing(answer: httpx2.Response) -> bool:
    """Whether the same request may do better in a moment; a 200 may hold an error, too."""
    return answer.status_code >= 500 or answer.status_code == 429 or _is_error(answer)


def _checked(key: str, answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success and not _is_error(answer):
        return answer
    raise failure(key, f"status: {answer.status_code} {answer.text}")


def _is_error(answer: httpx2.Response) -> bool:
    return answer.is_success and b"<Error>" in answer.content[:500]


def _document(answer: httpx2.Response) -> ET.Element:
    return ET.fromstring(answer.content)  # noqa: S314  # by the operator's own server


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
