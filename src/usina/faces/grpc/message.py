"""Messages out of the documents that every channel shows, and back."""

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.json_format import MessageToDict, ParseDict, SerializeToJsonError
from pydantic import ValidationError

from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb
from usina.faces.http.submission import SUBMISSION
from usina.http_kit.event import event_document, hint_document
from usina.http_kit.job import Link, job_document
from usina.http_kit.problem import invalid
from usina.kernel.errors import Invalid
from usina.kernel.events.event import Event, Hint
from usina.kernel.jobs.job import Job, JobRequest


def job_message(job: Job, link: Link) -> pb.Job:
    document = job_document(job, link)
    inputs: Mapping[str, str | list[str]] = document["inputs"]
    document["inputs"] = {
        name: {"ids": [ids] if isinstance(ids, str) else ids} for name, ids in inputs.items()
    }
    return ParseDict(document, pb.Job(), ignore_unknown_fields=True)


def event_message(item: Event | Hint, epoch: str, link: Link) -> pb.Event:
    shown = event_document(item, epoch, link) if isinstance(item, Event) else hint_document(item)
    return ParseDict(shown, pb.Event())


def job_request(message: pb.SubmitRequest) -> JobRequest:
    """What is asked for, refused as the same submission in JSON would be."""
    try:
        given: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    except SerializeToJsonError:
        raise Invalid.at("/params", "A value is missing, or a number that is not finite.") from None
    inputs: dict[str, dict[str, list[str]]] = given.get("inputs", {})
    given["inputs"] = {name: _sources(each.get("ids", [])) for name, each in inputs.items()}
    given["params"] = _whole(given.get("params", {}))
    given.setdefault("model", "")
    try:
        return SUBMISSION.validate_python(given).request()
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error


def _sources(ids: list[str]) -> str | list[str]:
    return ids[0] if len(ids) == 1 else ids


def _whole(value: Any) -> Any:
    """A Struct knows floats alone; what is whole was an integer."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            items = cast(dict[str, Any], value).items()
            return {name: _whole(each) for name, each in items}
        case list():
            return [_whole(each) for each in cast(list[Any], value)]
        case _:
            return value
