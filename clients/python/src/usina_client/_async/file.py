"""Files: what goes in."""

import os
from pathlib import Path

from usina_client._model import (
    File,
)
from usina_client._request import API, Request, get, idempotent, path_to
from usina_client._upload import OnProgress, Part, Source, Upload

from .connection import AsyncConnection
from .transfer import download
from .upload import send_large


class AsyncFiles:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def upload(
        self,
        content: Source | Upload,
        *,
        name: str | None = None,
        media_type: str | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> File:
        """Sent piece by piece, never held whole; `media_type` is only a hint to the platform.

        A large file goes on where a connection broke, and waits up to a minute for a platform that
        went away.
        """
        upload = content if isinstance(content, Upload) else Upload.of(content, name, media_type)
        if upload.large:
            return await send_large(self._connection, upload, idempotency_key, on_progress)
        request = Request(
            method="POST",
            path=f"{API}/files",
            parts=[Part("file", upload)],
            headers=idempotent(idempotency_key),
            repeatable=upload.repeatable,
            on_progress=on_progress,
        )
        return await self._connection.fetch(request, File)

    async def get(self, file_id: str) -> File:
        return await self._connection.fetch(get(path_to("files", file_id)), File)

    async def download(
        self,
        file: File | str,
        to: str | os.PathLike[str] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """To the path, or into the folder, `to`; the file is there only once its hash is right."""
        known = await self.get(file) if isinstance(file, str) else file
        path = path_to("files", known.id, "content")
        return await download(self._connection, known, path, to, on_progress)

    async def delete(self, file_id: str) -> None:
        await self._connection.send(Request(method="DELETE", path=path_to("files", file_id)))
