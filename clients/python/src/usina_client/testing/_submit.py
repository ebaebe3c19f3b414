"""A submit as the platform in memory reads it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from usina_client.testing._job import Document
from usina_client.testing._request import Part, Refusal

_FIELDS = {"model", "params", "inputs", "priority", "max_attempts", "timeout_seconds", "labels"} | {
    "strict",
    "reuse",
    "callback_url",
}
_JSON_FIELDS = {"params", "labels", "priority", "max_attempts", "timeout_seconds", "strict"} | {
    "reuse"
}


@dataclass(frozen=True, slots=True)
class Submission:
    """What was asked for; ``place`` is where it stands in the body."""

    model: str
    body: Document
    inputs: Mapping[str, JsonValue]
    place: str = ""

    def every_input(self) -> Iterator[tuple[str, list[str]]]:
        for name, value in self.inputs.items():
            yield name, [str(each) for each in (value if isinstance(value, list) else [value])]

    def check(self, inputs: Sequence[str], defaults: Mapping[str, JsonValue]) -> None:
        """Raises a refusal with its pointer."""
        for name in inputs:
            if name not in self.inputs:
                raise self._invalid(f"/inputs/{name}", f"The input {name!r} is missing.")
        for name in self.inputs:
            if name not in inputs:
                raise self._unknown(f"/inputs/{name}", f"The model takes no input {name!r}.")
        for name in self._object("params"):
            if name not in defaults:
                raise self._unknown(f"/params/{name}", f"The model has no parameter {name!r}.")

    def document(self, defaults: Mapping[str, JsonValue], version: str) -> Document:
        """The job as it begins."""
        return {
            "model": self.model,
            "model_version": version,
            "status": "QUEUED",
            "progress": 0.0,
            "stage": None,
            "params": {**defaults, **self._object("params")},
            "inputs": dict(self.inputs),
            "priority": self.body.get("priority", 0),
            "attempt": 1,
            "max_attempts": self.body.get("max_attempts", 3),
            "labels": dict(self._object("labels")),
            "started_at": None,
            "finished_at": None,
            "queue_position": 1,
            "waiting_reason": "slot",
            "cancel_requested_at": None,
            "error": None,
            "artifacts": [],
            "strict": self.body.get("strict", False),
            "reuse": self.body.get("reuse", False),
            "reused_from": None,
            "gates": [],
            "metrics": {"queued_seconds": None, "run_seconds": None, "peak_memory_bytes": None},
        }

    def _object(self, name: str) -> Mapping[str, JsonValue]:
        value = self.body.get(name) or {}
        if not isinstance(value, dict):
            raise self._invalid(f"/{name}", "This is no JSON object.")
        return value

    def _invalid(self, pointer: str, detail: str) -> Refusal:
        return Refusal(422, "invalid", detail, pointer=self.place + pointer)

    def _unknown(self, pointer: str, detail: str) -> Refusal:
        return Refusal(422, "unknown_field", detail, pointer=self.place + pointer)


def read_json(body: Document, place: str = "") -> Submission:
    for name in body:
        if name not in _FIELDS:
            detail = f"There is no field {name!r}."
            raise Refusal(422, "unknown_field", detail, pointer=f"{place}/{name}")
    inputs = body.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise Refusal(422, "invalid", "This is no JSON object.", pointer=f"{place}/inputs")
    return Submission(str(body.get("model", "")), body, inputs, place)


@dataclass(frozen=True, slots=True)
class Form:
    """A submit that brings its files; its inputs have no ids yet."""

    submission: Submission
    files: dict[str, list[Part]] = field(default_factory=dict[str, list[Part]])

    def with_ids(self, ids: Mapping[str, list[str]]) -> Submission:
        inputs: dict[str, JsonValue] = {
            name: each[0] if len(each) == 1 else list(each) for name, each in ids.items()
        }
        return replace(self.submission, inputs=inputs)


def read_form(parts: Sequence[Part]) -> Form:
    body: Document = {}
    files: dict[str, list[Part]] = {}
    for part in parts:
        if part.name is not None:
            files.setdefault(part.field, []).append(part)
        else:
            text = part.content.decode()
            body[part.field] = json.loads(text) if part.field in _JSON_FIELDS else text
    submission = read_json(body)
    return Form(replace(submission, inputs=dict.fromkeys(files)), files)
