"""Large files: sent to an address of their own, and gone on with where a connection broke."""

from asyncio import sleep
from time import monotonic

from usina_client._error import ApiError, TransportError
from usina_client._model import (
    File,
    UploadTicket,
)
from usina_client._request import API, Request, idempotent, path_to, post
from usina_client._upload import OnProgress, Part, Upload, opened

from .connection import MORE_TO_COME, AsyncConnection, pause
from .stream import PATIENCE_SECONDS


async def send_large(
    connection: AsyncConnection,
    upload: Upload,
    idempotency_key: str | None,
    on_progress: OnProgress | None,
) -> File:
    """The file, once all of it is there; a platform that goes away is waited for."""
    with opened([Part("", upload)]) as [reader]:
        size = reader.length() or 0
    request = Request(
        method="POST",
        path=f"{API}/files/uploads",
        json={"name": upload.name, "size_bytes": size, "media_type": upload.media_type},
        headers=idempotent(idempotency_key),
        repeatable=True,
    )
    ticket = await connection.fetch(request, UploadTicket)
    await _Sending(connection, ticket, upload, size, on_progress).finish()
    return await connection.fetch(post(f"{path_to('files', 'uploads')}/{ticket.id}/complete"), File)


class _Sending:
    """One upload on its way; the platform's own address takes it in pieces, a bucket's whole."""

    def __init__(
        self,
        connection: AsyncConnection,
        ticket: UploadTicket,
        upload: Upload,
        size: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._connection = connection
        self._ticket = ticket
        self._upload = upload
        self._size = size
        self._on_progress = on_progress
        self._in_pieces = f"/api/v1/uploads/{ticket.id}?" in ticket.upload_url

    async def finish(self) -> None:
        away_since: float | None = None
        failures = 0
        there = 0
        while there < self._size:
            try:
                before, there = there, await self._send_from(there)
                away_since, failures = None, 0 if there > before else failures + 1
            except (TransportError, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in {429, 500, 502, 503, 504}:
                    raise
                away_since = away_since or monotonic()
                failures += 1
                if monotonic() - away_since > PATIENCE_SECONDS:
                    raise
                await sleep(pause(failures))
                there = await self._there(there)

    async def _send_from(self, start: int) -> int:
        """How much is there then."""
        headers = dict(self._ticket.headers)
        if self._in_pieces:
            headers["Content-Range"] = f"bytes {start}-{self._size - 1}/{self._size}"
        response = await self._connection.put(
            self._ticket.upload_url, self._upload, start, headers, self._on_progress
        )
        if response.status_code == MORE_TO_COME:
            return _received(response.headers.get("range"))
        return self._size

    async def _there(self, known: int) -> int:
        """How much had arrived when the connection broke; as known where nobody says."""
        if not self._in_pieces:
            return 0
        ask = Request(
            method="PUT",
            path=self._ticket.upload_url,
            headers={"Content-Range": f"bytes */{self._size}"},
            repeatable=True,
            accept=frozenset({MORE_TO_COME}),
        )
        try:
            response = await self._connection.send(ask)
        except (TransportError, ApiError):
            return known
        if response.status_code == MORE_TO_COME:
            return _received(response.headers.get("range"))
        return self._size


def _received(header: str | None) -> int:
    """Of a `Range: bytes=0-last`; nothing is there where it is missing."""
    last = (header or "").rpartition("-")[2]
    return int(last) + 1 if last.isdecimal() else 0
