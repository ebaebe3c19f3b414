"""Refusals over gRPC: a status that clients act upon, and the stable code in trailing metadata."""

import json
from collections.abc import Mapping
from typing import Final

from grpc import StatusCode

from usina.kernel.errors import Problem

_STATUS: Final[Mapping[int, StatusCode]] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.FAILED_PRECONDITION,
    410: StatusCode.OUT_OF_RANGE,
    413: StatusCode.RESOURCE_EXHAUSTED,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    503: StatusCode.UNAVAILABLE,
}
_MOST_ERRORS: Final = 10
_MOST_CHARACTERS: Final = 200
"""Clients take 8 KiB of metadata unless told otherwise."""


def status_of(problem: Problem) -> StatusCode:
    if problem.code == "idempotency_in_progress":
        return StatusCode.ABORTED  # ask again as you did
    return _STATUS.get(problem.status, StatusCode.INTERNAL)


def trailing(problem: Problem) -> list[tuple[str, str]]:
    """``code``, and where there are such ``errors`` as JSON and ``retry-after`` in seconds."""
    found = [("code", problem.code)]
    if problem.retry_after_seconds is not None:
        found.append(("retry-after", str(problem.retry_after_seconds)))
    if problem.errors:
        errors = [
            {"pointer": e.pointer[:_MOST_CHARACTERS], "message": e.message[:_MOST_CHARACTERS]}
            for e in problem.errors[:_MOST_ERRORS]
        ]
        found.append(("errors", json.dumps(errors)))
    return found


def detail_of(problem: Problem) -> str:
    return problem.detail[: 5 * _MOST_CHARACTERS]
