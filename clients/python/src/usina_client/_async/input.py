"""Inputs on their way to a job that names them by id."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from usina_client._error import ApiError, UsinaError
from usina_client._model import (
    File,
)
from usina_client._submission import InputValue, JobRequest, Sent, is_one, upload_of
from usina_client._upload import OnProgress, Upload

from .connection import AsyncConnection
from .file import AsyncFiles


@asynccontextmanager
async def sent(
    connection: AsyncConnection, jobs: Sequence[JobRequest], on_upload: OnProgress | None
) -> AsyncGenerator[list[Sent]]:
    """The inputs of each job by id, local ones uploaded; deleted again on a refusal."""
    files = AsyncFiles(connection)
    fresh: list[File] = []
    try:
        yield [await _ids(files, job, fresh, on_upload) for job in jobs]
    except ApiError:
        for file in fresh:
            with suppress(UsinaError):
                await files.delete(file.id)
        raise


async def _ids(
    files: AsyncFiles, job: JobRequest, fresh: list[File], on_upload: OnProgress | None
) -> Sent:
    ids: dict[str, str | list[str]] = {}
    for name, value in job.inputs.items():
        if is_one(value):
            ids[name] = await _id(files, value, fresh, on_upload)
        else:
            ids[name] = [await _id(files, one, fresh, on_upload) for one in value]
    return ids


async def _id(
    files: AsyncFiles, value: InputValue, fresh: list[File], on_upload: OnProgress | None
) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Path | Upload):
        file = await files.upload(upload_of(value), on_progress=on_upload)
        fresh.append(file)
        return file.id
    return value.id
