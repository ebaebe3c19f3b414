# Generated from ../_async/file.py by generate_sync.py: change that file instead.
"""Files: what goes in."""

import os
from pathlib import Path

from usina_client._model import (
    File,
)
from usina_client._request import API, Request, get, idempotent, path_to
from usina_client._upload import OnProgress, Part, Source, Upload

from .connection import Connection
from .transfer import download
from .upload import send_large


class Files:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(
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
            return send_large(self._connection, upload, idempotency_key, on_progress)
        request = Request(
            method="POST",
            path=f"{API}/files",
            parts=[Part("file", upload)],
            headers=idempotent(idempotency_key),
            repeatable=upload.repeatable,
            on_progress=on_progress,
        )
        return self._connection.fetch(request, File)

    def get(self, file_id: str) -> File:
        return self._connection.fetch(get(path_to("files", file_id)), File)

    def download(
        self,
        file: File | str,
        to: str | os.PathLike[str] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """To the path, or into the folder, `to`; the file is there only once its hash is right."""
        known = self.get(file) if isinstance(file, str) else file
        path = path_to("files", known.id, "content")
        return download(self._connection, known, path, to, on_progress)

    def delete(self, file_id: str) -> None:
        self._connection.send(Request(method="DELETE", path=path_to("files", file_id)))
