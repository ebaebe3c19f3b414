"""Refusals on the wire: ``application/problem+json`` (RFC 9457), one shape for all."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.responses import Response
from starlette.types import Scope

from usina.http_kit.reply import json_bytes
from usina.kernel.errors import FieldError, Invalid, Problem, Unauthorized

PROBLEM_JSON: Final = "application/problem+json"
_UNKNOWN: Final = "extra_forbidden"
_MOST_ERRORS: Final = 100


class MethodNotAllowed(Problem):
    status, title, code = 405, "Method not allowed", "method_not_allowed"


class ProblemError(BaseModel):
    """One wrong place of a request."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the body or the query.")
    message: str


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "example": {
                "type": "urn:usina:problem:unknown_field",
                "title": "Invalid request",
                "status": 422,
                "detail": "There is no such field: /parms",
                "instance": "/api/v1/jobs",
                "code": "unknown_field",
                "request_id": "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e",
                "errors": [{"pointer": "/parms", "message": "There is no such field here."}],
            }
        },
    )

    type: str = Field(description="A name of the kind of problem: `urn:usina:problem:<code>`.")
    title: str
    status: int
    detail: str = Field(description="What was wrong, where, and what to do.")
    instance: str = Field(description="The path of the request.")
    code: str = Field(description="Stable, snake_case; the reference lists them.")
    request_id: str
    errors: list[ProblemError] | None = Field(
        None, description="The wrong places, when the request can be put right by changing them."
    )


def problem_response(problem: Problem, scope: Scope) -> Response:
    """The refusal as a response to the request of this scope."""
    request_id: str = scope.get("request_id", "")
    document: dict[str, Any] = {
        "type": f"urn:usina:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": quote(scope["path"]),
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        document["errors"] = [
            {"pointer": error.pointer, "message": error.message}
            for error in problem.errors[:_MOST_ERRORS]
        ]
    return Response(json_bytes(document), problem.status, _headers(problem), PROBLEM_JSON)


def _headers(problem: Problem) -> dict[str, str]:
    headers: dict[str, str] = {}
    if problem.retry_after_seconds is not None:
        headers["retry-after"] = str(problem.retry_after_seconds)
    if isinstance(problem, Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="usina"'
    return headers


def invalid(errors: Iterable[ErrorDetails], prefix: str = "") -> Invalid:
    """What pydantic found wrong, in the platform's own words and with pointers."""
    details = list(errors)
    found = [
        FieldError(prefix + pointer(detail["loc"]), _message(detail["type"], detail["msg"]))
        for detail in details
    ]
    if all(detail["type"] == _UNKNOWN for detail in details):
        return unknown_fields(found)
    where = f"At {found[0].pointer}: " if found[0].pointer else ""
    more = f" ({len(found) - 1} more in errors)" if len(found) > 1 else ""
    return Invalid(f"{where}{found[0].message}{more}", errors=found)


def unknown_fields(found: Sequence[FieldError]) -> Invalid:
    names = ", ".join(error.pointer for error in found[:5])
    return Invalid(f"There is no such field: {names}", code="unknown_field", errors=found)


def pointer(location: Iterable[str | int]) -> str:
    """The location as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


_MESSAGES: Final[Mapping[str, str]] = {
    _UNKNOWN: "There is no such field here.",
    "missing": "This field is required.",
    "dict_type": "This has to be a JSON object.",
    "model_type": "This has to be a JSON object.",
    "list_type": "This has to be a JSON array.",
}


def _message(kind: str, message: str) -> str:
    return _MESSAGES.get(kind) or message.removeprefix("Value error, ")


_TITLES: Final[Mapping[int, str]] = {
    400: "The body is not JSON, or not strictly.",
    401: "No valid credentials.",
    403: "Known, but not allowed.",
    404: "Not there, or another organization's.",
    409: "The present state does not allow it.",
    410: "The cursor is not of this log.",
    413: "Too large.",
    415: "The request's Content-Type is not supported here.",
    416: "The range is outside of the content.",
    422: "Something in the request is not valid; `errors` says where.",
    429: "Too many; see `Retry-After`.",
    503: "Something that is needed is down or full; see `Retry-After`.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route for its OpenAPI description; every route has `default` besides."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        **{
            status: {"description": _TITLES[status], "content": {PROBLEM_JSON: {"schema": schema}}}
            for status in statuses
        },
        "default": {
            "description": "Anything else that went wrong.",
            "content": {PROBLEM_JSON: {"schema": schema}},
        },
    }
