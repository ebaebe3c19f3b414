"""The store as a bucket, or a part of one, of any S3 server.

obstore puts, reads, lists and deletes; what it does not have is in `s3_calls`. Nothing relies on
conditional writes, which many servers lack. An object is durable when the server has answered.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.store import S3Store as Bucket

from usina.kernel.storage.fetch import copy_out
from usina.kernel.storage.s3_address import S3Access, S3Place
from usina.kernel.storage.s3_calls import UNTYPED, Patience, S3Calls
from usina.kernel.storage.s3_copy import copy_within
from usina.kernel.storage.s3_failure import told_plainly
from usina.kernel.storage.s3_writer import S3Writer
from usina.kernel.storage.signature import LONGEST_SECONDS, signed_url
from usina.kernel.storage.store import (
    STEP_BYTES,
    Data,
    ObjectMissing,
    Presigned,
    StoredObject,
    checked,
)
from usina.kernel.storage.threads import Threads

T = TypeVar("T")

_THREADS: Final = 16
_LARGEST_PUT_BYTES: Final = 5 * 1024**3
"""What S3 takes in one request."""
_CLOSE_SECONDS: Final = 2.0
"""For calls that are under way; a server that hangs would keep us for half a minute each."""
_GLANCE: Final = Patience(connect_seconds=0.7, answer_seconds=1.2, pauses_seconds=())
"""For :meth:`S3Store.check`: one try, and less than two seconds in all."""


class S3Store:
    """Objects below one prefix of a bucket, which only this platform may write to.

    Opening it looks into the bucket, and raises ``Unavailable`` when that can not be done.
    """

    def __init__(self, place: S3Place, access: S3Access, patience: Patience | None = None) -> None:
        patience = patience or Patience()
        self._place = place
        self._access = access
        self._objects = _bucket(place, access, patience)
        self._calls = S3Calls(access, place.bucket, patience)
        self._glances = S3Calls(access, place.bucket, _GLANCE)
        self._threads = Threads(_THREADS, "usina-store")
        try:
            self.opened_at = self._calls.now()
        except BaseException:
            self.close()
            raise

    def now(self) -> datetime:
        return self._calls.now()

    def check(self) -> None:
        self._glances.now()

    async def run(self, work: Callable[[], T]) -> T:
        return await self._threads.run(work)

    async def read(self, key: str, start: int, stop: int) -> AsyncGenerator[memoryview]:
        checked(key)
        for at in range(start, stop, STEP_BYTES):
            with told_plainly(key):
                step = await obstore.get_range_async(
                    self._objects, key, start=at, end=min(at + STEP_BYTES, stop)
                )
            yield memoryview(step)

    def chunks(self, key: str, start: int, stop: int) -> Iterator[memoryview]:
        checked(key)
        for at in range(start, stop, STEP_BYTES):
            with told_plainly(key):
                step = obstore.get_range(
                    self._objects, key, start=at, end=min(at + STEP_BYTES, stop)
                )
            yield memoryview(step)

    def copy(self, source: str, target: str) -> None:
        size = self.size(source)
        if size is None:
            raise ObjectMissing(source)
        prefix = self._place.prefix
        copy_within(self._calls, f"{prefix}{source}", f"{prefix}{checked(target)}", size)

    async def fetch(self, key: str, target: Path, sha256: str) -> None:
        await self.run(lambda: copy_out(self, key, target, sha256))

    def writer(self, key: str) -> S3Writer:
        full = f"{self._place.prefix}{checked(key)}"
        return S3Writer(self._calls, full, lambda data: self.put(key, data))

    def put(self, key: str, data: Data) -> None:
        checked(key)
        with told_plainly(key):
            obstore.put(self._objects, key, bytes(data), use_multipart=False)

    def size(self, key: str) -> int | None:
        checked(key)
        try:
            with told_plainly(key):
                return obstore.head(self._objects, key)["size"]
        except ObjectMissing:
            return None

    def delete(self, keys: Sequence[str]) -> None:
        paths = [checked(key) for key in keys]
        if paths:
            with told_plainly(paths[0]):
                obstore.delete(self._objects, paths)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        pages = obstore.list(self._objects, prefix=prefix or None)  # pyright: ignore[reportUnknownMemberType]  # pyarrow's
        while True:
            with told_plainly(prefix):
                page = next(pages, ())
            if not page:
                return
            for found in page:
                yield StoredObject(found["path"], found["size"], found["last_modified"])

    def clear_unfinished(self, before: datetime) -> int:
        stale = [u for u in self._calls.unfinished(self._place.prefix) if u.begun_at < before]
        for upload in stale:
            self._calls.abort(upload.key, upload.upload_id)
        return len(stale)

    def presigned_get(
        self, key: str, seconds: int, content_type: str, disposition: str
    ) -> Presigned:
        query = {
            "response-content-type": content_type,
            "response-content-disposition": disposition,
        }
        return self._presigned("GET", key, seconds, query, {})

    def presigned_put(self, key: str, seconds: int, size_bytes: int | None) -> Presigned | None:
        if size_bytes is None:
            return self._presigned("PUT", key, seconds, {}, {})
        if size_bytes > _LARGEST_PUT_BYTES:
            return None
        headers = {"content-length": str(size_bytes), "content-type": UNTYPED}
        return self._presigned("PUT", key, seconds, {}, headers)

    def close(self) -> None:
        self._threads.close(_CLOSE_SECONDS)
        self._calls.close()
        self._glances.close()

    def _presigned(
        self, method: str, key: str, seconds: int, query: dict[str, str], headers: dict[str, str]
    ) -> Presigned:
        place = self._place
        url = f"{self._access.public_url}/{place.bucket}/{place.prefix}{checked(key)}"
        lasting = min(seconds, LONGEST_SECONDS)
        now = datetime.now(UTC)
        signed = signed_url(self._access, method, url, query, headers, lasting, now)
        return Presigned(method, signed, headers)


def _bucket(place: S3Place, access: S3Access, patience: Patience) -> Bucket:
    tries = len(patience.pauses_seconds)
    whole = patience.answer_seconds * (tries + 1) + sum(patience.pauses_seconds)
    return Bucket(
        place.bucket,
        prefix=place.prefix or None,
        endpoint=access.url,
        region=access.region,
        access_key_id=access.access_key,
        secret_access_key=access.secret_key,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": True,
            "connect_timeout": timedelta(seconds=patience.connect_seconds),
            "timeout": timedelta(seconds=patience.answer_seconds),
        },
        retry_config={"max_retries": tries, "retry_timeout": timedelta(seconds=whole)},
    )
