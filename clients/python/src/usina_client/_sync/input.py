# Generated from ../_async/input.py by generate_sync.py: change that file instead.
"""Inputs on their way to a job that names them by id."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from usina_client._error import ApiError, UsinaError
from usina_client._model import (
    File,
)
from usina_client._submission import InputValue, JobRequest, Sent, is_one, upload_of
from usina_client._upload import OnProgress, Upload

from .connection import Connection
from .file import Files


@contextmanager
def sent(
    connection: Connection, jobs: Sequence[JobRequest], on_upload: OnProgress | None
) -> Generator[list[Sent]]:
    """The inputs of each job by id, local ones uploaded; deleted again on a refusal."""
    files = Files(connection)
    fresh: list[File] = []
    try:
        yield [_ids(files, job, fresh, on_upload) for job in jobs]
    except ApiError:
        for file in fresh:
            with suppress(UsinaError):
                files.delete(file.id)
        raise


def _ids(files: Files, job: JobRequest, fresh: list[File], on_upload: OnProgress | None) -> Sent:
    ids: dict[str, str | list[str]] = {}
    for name, value in job.inputs.items():
        if is_one(value):
            ids[name] = _id(files, value, fresh, on_upload)
        else:
            ids[name] = [_id(files, one, fresh, on_upload) for one in value]
    return ids


def _id(files: Files, value: InputValue, fresh: list[File], on_upload: OnProgress | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Path | Upload):
        file = files.upload(upload_of(value), on_progress=on_upload)
        fresh.append(file)
        return file.id
    return value.id
