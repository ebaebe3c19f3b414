"""A job before it is submitted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue
from typing_extensions import TypeIs

from usina_client._model import (
    Artifact,
    File,
    Json,
)
from usina_client._request import API, Request, idempotent
from usina_client._upload import OnProgress, Part, Upload

InputValue: TypeAlias = str | File | Artifact | Path | Upload
"""A `str` is the id of a file or artifact; a `Path` or `Upload` is local and is sent along."""

Inputs: TypeAlias = Mapping[str, InputValue | Sequence[InputValue]]

Sent: TypeAlias = Mapping[str, str | list[str]]
"""Inputs by id only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What is asked for; null leaves the choice to the platform."""

    model: str
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    inputs: Inputs = field(default_factory=dict[str, "InputValue | Sequence[InputValue]"])
    priority: int | None = None
    max_attempts: int | None = None
    timeout_seconds: float | None = None
    callback_url: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    strict: bool = False
    reuse: bool = False

    def each_input(self) -> Iterator[tuple[str, InputValue]]:
        for name, value in self.inputs.items():
            for one in [value] if is_one(value) else value:
                yield name, one

    @property
    def local(self) -> bool:
        """Whether there are inputs and all lie here, none of them large: then one call carries
        everything."""
        here = [
            isinstance(value, Path | Upload) and not upload_of(value).large
            for _, value in self.each_input()
        ]
        return bool(here) and all(here)


def is_one(value: InputValue | Sequence[InputValue]) -> TypeIs[InputValue]:
    """Whether an input is a single value and not a list."""
    return isinstance(value, str | File | Artifact | Path | Upload)


def upload_of(value: Path | Upload) -> Upload:
    return value if isinstance(value, Upload) else Upload.of(value)


def body_of(job: JobRequest, inputs: Sent) -> dict[str, JsonValue]:
    """The job as JSON, with its inputs by id."""
    body: dict[str, JsonValue] = {
        "model": job.model,
        "params": _plain(job.params),
        "inputs": _plain(inputs),
    }
    for name in ("priority", "max_attempts", "timeout_seconds", "callback_url"):
        value: JsonValue = getattr(job, name)
        if value is not None:
            body[name] = value
    if job.strict:
        body["strict"] = True
    if job.reuse:
        body["reuse"] = True
    if job.labels:
        body["labels"] = _plain(job.labels)
    return body


def by_id(job: JobRequest, inputs: Sent, idempotency_key: str | None) -> Request:
    """The submit of a job whose inputs are on the platform already."""
    return Request(
        method="POST",
        path=f"{API}/jobs",
        json=body_of(job, inputs),
        headers=idempotent(idempotency_key),
        repeatable=True,
    )


def multipart(
    job: JobRequest, idempotency_key: str | None, on_upload: OnProgress | None
) -> Request:
    """The submit of a job together with its files; refused, it leaves no file behind."""
    parts = [
        Part(name, upload_of(value))
        for name, value in job.each_input()
        if isinstance(value, Path | Upload)
    ]
    fields = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in body_of(job, {}).items()
        if name != "inputs"
    }
    return Request(
        method="POST",
        path=f"{API}/jobs",
        fields=fields,
        parts=parts,
        headers=idempotent(idempotency_key),
        repeatable=all(part.upload.repeatable for part in parts),
        on_progress=on_upload,
    )


def _plain(value: Json) -> JsonValue:
    """Any mapping as a `dict`, any sequence as a `list`: what the JSON encoder knows."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
