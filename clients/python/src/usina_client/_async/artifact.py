"""Artifacts: what comes out."""

import os
from pathlib import Path

from usina_client._model import (
    Artifact,
)
from usina_client._request import get, path_to
from usina_client._upload import OnProgress

from .connection import AsyncConnection
from .transfer import download


class AsyncArtifacts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, artifact_id: str) -> Artifact:
        return await self._connection.fetch(get(path_to("artifacts", artifact_id)), Artifact)

    async def download(
        self,
        artifact: Artifact | str,
        to: str | os.PathLike[str] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """To the path, or into the folder, `to`; the file is there only once its hash is right."""
        known = await self.get(artifact) if isinstance(artifact, str) else artifact
        path = path_to("artifacts", known.id, "content")
        return await download(self._connection, known, path, to, on_progress)

    async def read(self, artifact: Artifact | str) -> bytes:
        """The whole content in memory: for reports and other small ones."""
        identity = artifact if isinstance(artifact, str) else artifact.id
        response = await self._connection.send(get(path_to("artifacts", identity, "content")))
        return response.content
