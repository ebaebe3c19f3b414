"""Answers as ready bytes: documents are made by our own code, so nothing validates them again."""

from collections.abc import Mapping

from pydantic_core import to_json
from starlette.responses import Response

from usina.kernel.idempotency.service import Answer

JSON = "application/json"


def json_bytes(document: object) -> bytes:
    return to_json(document, inf_nan_mode="null")


def json_response(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(json_bytes(document), status, headers, JSON)


def json_answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """The same as :func:`json_response`, in the form that can be kept and sent again."""
    return Answer(status, {**(headers or {}), "content-type": JSON}, json_bytes(document))


def answer_response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
