"""A new object in S3: held back while it is small, then sent in parts that nobody sees."""

from collections.abc import Callable
from typing import Final

import structlog

from usina.kernel.errors import Unavailable
from usina.kernel.ids import new_id
from usina.kernel.storage.s3_calls import S3Calls
from usina.kernel.storage.store import Data

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

PART_BYTES: Final = 8 * 1024**2
_PARTS_OF_A_SIZE: Final = 1000
"""A multipart upload has at most 10 000 parts, so every thousandth is twice as large."""


class S3Writer:
    """What a killed writer leaves is a multipart upload, found and aborted by the sweep."""

    def __init__(self, calls: S3Calls, key: str, put: Callable[[Data], None]) -> None:
        self._calls = calls
        self._key = key
        self._put = put
        self._id = new_id()
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._tags: list[str] = []

    def write(self, data: Data) -> None:
        rest = memoryview(data)
        while len(self._buffer) + len(rest) >= (size := self._part_bytes()):
            taken = size - len(self._buffer)
            self._buffer += rest[:taken]
            rest = rest[taken:]
            self._send_part()
        self._buffer += rest

    def commit(self) -> None:
        if self._upload_id is None:
            self._put(self._buffer)
            return
        if self._buffer:
            self._send_part()
        self._calls.complete(self._key, self._upload_id, self._tags, self._id)
        self._upload_id = None

    def abort(self) -> None:
        """A server that is down is no reason to fail: the sweep aborts what is left."""
        self._buffer.clear()
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is not None:
            try:
                self._calls.abort(self._key, upload_id)
            except Unavailable as error:
                _log.warning("an upload is left to the sweep", key=self._key, error=error.code)

    def _part_bytes(self) -> int:
        return PART_BYTES << (len(self._tags) // _PARTS_OF_A_SIZE)

    def _send_part(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._calls.begin(self._key, self._id)
        number = len(self._tags) + 1
        self._tags.append(self._calls.part(self._key, self._upload_id, number, self._buffer))
        self._buffer = bytearray()
