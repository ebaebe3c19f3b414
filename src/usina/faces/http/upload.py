"""Uploads in several requests: opened, sent to a signed address in one piece or many, completed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.faces.http.file import (
    IDEMPOTENCY_KEY,
    FileDocument,
    file_document,
    refuse_declared_length,
)
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, needs, platform_of
from usina.http_kit.idempotent import Once, fingerprint, once
from usina.http_kit.links import sign, verify
from usina.http_kit.problem import problems
from usina.http_kit.range import content_range
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Malformed
from usina.kernel.files.file import Upload
from usina.kernel.files.upload import Piece, Progress
from usina.kernel.idempotency.service import Answer
from usina.kernel.storage.store import Presigned
from usina.kernel.tenancy.permission import Permission

router = APIRouter(tags=["files"])

Writing = Annotated[Call, needs(Permission.FILES_WRITE)]

UploadId = Annotated[
    str, Path(description="The upload's id.", json_schema_extra={"format": "uuid"})
]
_INCOMPLETE: Final = 308


class UploadRequest(BaseModel):
    """A file to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(description="To show; never a path.", min_length=1)
    size_bytes: int = Field(description="Exactly as many bytes as will come.")
    media_type: str | None = Field(None, description="A hint: the bytes decide.")


class TicketRequest(BaseModel):
    """A file to be, as the origin asks for it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: str = Field(min_length=1)
    content_type: str | None = None


class UploadDocument(BaseModel):
    """Where and how to send the bytes."""

    id: str = Field(description="Also the id of the file that it becomes.")
    upload_url: str = Field(description="Signed: good without a key until `expires_at`.")
    method: str
    headers: dict[str, str]
    expires_at: AwareDatetime


class TicketDocument(BaseModel):
    upload_url: str = Field(description="PUT the bytes there; that alone completes the upload.")
    object_name: str = Field(description="The id of the file that it becomes.")


class ProgressDocument(BaseModel):
    received_bytes: int = Field(description="Bytes that are there, from the beginning.")
    complete: bool


_PUT: Final[dict[str, Any]] = {
    "security": [],
    "parameters": [
        {"in": "query", "name": "expires", "required": True, "schema": {"type": "integer"}},
        {"in": "query", "name": "signature", "required": True, "schema": {"type": "string"}},
        {"in": "header", "name": "Content-Range", "required": False, "schema": {"type": "string"}},
    ],
    "requestBody": {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    },
}
_UPLOAD: Final = TypeAdapter(UploadRequest)
_TICKET: Final = TypeAdapter(TicketRequest)


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    return {"parameters": [IDEMPOTENCY_KEY], **json_body(model)}


@router.post(
    "/api/v1/files/uploads",
    summary="Open an upload",
    status_code=201,
    response_model=UploadDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=_body_of(UploadRequest),
)
async def open_upload(request: Request, call: Writing) -> Response:
    """For large files: PUT the bytes to `upload_url`, whole or in pieces, then complete."""
    with once(request, call) as asked:
        wanted, body = await read_json(request, _UPLOAD, call.platform.settings.max_body_bytes)
        replay = await asked.replay(fingerprint(body))
        return replay or await _open(
            call,
            asked,
            _Wanted(wanted.name, wanted.media_type, wanted.size_bytes),
            lambda upload: _upload_document(upload, _sending(request, call, upload)),
        )


@router.post(
    "/api/v1/jobs/upload-ticket",
    tags=["jobs"],
    summary="Open an upload that completes itself",
    status_code=201,
    response_model=TicketDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=_body_of(TicketRequest),
)
async def open_ticket(request: Request, call: Writing) -> Response:
    """PUT the bytes to `upload_url`; `object_name` then serves as a job's input."""
    with once(request, call) as asked:
        wanted, body = await read_json(request, _TICKET, call.platform.settings.max_body_bytes)
        replay = await asked.replay(fingerprint(body))
        return replay or await _open(
            call,
            asked,
            _Wanted(wanted.filename, wanted.content_type, None),
            lambda upload: {
                "upload_url": _sending(request, call, upload).url,
                "object_name": upload.id,
            },
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    media_type: str | None
    size_bytes: int | None


async def _open(
    call: Call, asked: Once, wanted: _Wanted, document_of: Callable[[Upload], dict[str, Any]]
) -> Response:
    """Opens the upload, and keeps the answer in the same transaction."""
    answer: Answer | None = None

    def also(tx: Transaction, upload: Upload) -> None:
        nonlocal answer
        answer = json_answer(document_of(upload), 201)
        asked.record(tx, answer)

    uploads = call.platform.files.uploads
    await uploads.open(call.caller, wanted.name, wanted.media_type, wanted.size_bytes, also)
    assert answer is not None
    return answer_response(answer)


def _sending(request: Request, call: Call, upload: Upload) -> Presigned:
    """To the store's own server where it has one, else to the platform."""
    presigned = call.platform.files.uploads.presigned(upload)
    if presigned is not None:
        return presigned
    seconds = (upload.expires_at - upload.created_at).total_seconds()
    path = f"/api/v1/uploads/{upload.id}"
    signed = sign(call.platform.secret, path, seconds, method="PUT")
    url = str(request.base_url).rstrip("/") + signed
    return Presigned("PUT", url, {"content-type": upload.media_type})


def _upload_document(upload: Upload, sending: Presigned) -> dict[str, Any]:
    """The upload as clients see it (:class:`UploadDocument`)."""
    return {
        "id": upload.id,
        "upload_url": sending.url,
        "method": sending.method,
        "headers": {name.title(): value for name, value in sending.headers.items()},
        "expires_at": rfc3339(upload.expires_at),
    }


@router.put(
    "/api/v1/uploads/{upload_id}",
    summary="Send an upload's bytes",
    response_model=ProgressDocument,
    responses={
        _INCOMPLETE: {
            "description": "More is to come; `Range` says what is there already.",
            "headers": {"Range": {"schema": {"type": "string"}}},
        },
        **problems(400, 401, 404, 413, 422, 503),
    },
    openapi_extra=_PUT,
)
async def put_upload(upload_id: UploadId, request: Request) -> Response:
    """Signed. Without `Content-Range` the body is the whole file. With `bytes a-b/total` it is a
    piece: what arrives of it is kept, and the answer is 308 with a `Range` until all is there.
    `bytes */total` with an empty body asks how far it is."""
    platform = platform_of(request)
    path, query = request.scope["path"], request.scope["query_string"]
    verify(platform.secret, path, query, method="PUT")
    refuse_declared_length(request, platform.settings.max_upload_bytes)
    uploads = platform.files.uploads
    header = request.headers.get("content-range")
    if header is None:
        piece = Piece(stop=_content_length(request))
        return _progress_response(await uploads.receive(upload_id, piece, request.stream()))
    told = content_range(header)
    if told is None:
        raise _bad_range("write bytes first-last/total, or bytes */total")
    if told.range is None:
        return _progress_response(await uploads.progress(upload_id, told.total))
    start, stop = told.range.start, told.range.stop
    if _content_length(request) not in {None, stop - start}:
        raise _bad_range("its length is not the body's")
    piece = Piece(start, stop, told.total, resumable=True)
    return _progress_response(await uploads.receive(upload_id, piece, request.stream()))


@router.post(
    "/api/v1/files/uploads/{upload_id}/complete",
    summary="Complete an upload",
    response_model=FileDocument,
    responses={201: {"model": FileDocument}, **problems(401, 403, 404, 409, 413, 422, 503)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def complete_upload(upload_id: UploadId, request: Request, call: Writing) -> Response:
    """The file, once every byte is there: 201, and 200 when it was complete before."""
    with once(request, call) as asked:
        replay = await asked.replay(fingerprint(upload_id.encode()))
        if replay is not None:
            return replay
        file, made = await call.platform.files.uploads.complete(call.caller, upload_id)
        answer = json_answer(file_document(file), 201 if made else 200)
        await asked.keep(answer)
        return answer_response(answer)


def _progress_response(progress: Progress) -> Response:
    if progress.complete:
        return json_response({"received_bytes": progress.received_bytes, "complete": True})
    there = {"range": f"bytes=0-{progress.received_bytes - 1}"} if progress.received_bytes else {}
    return Response(status_code=_INCOMPLETE, headers=there)


def _content_length(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None


def _bad_range(why: str) -> Malformed:
    return Malformed(f"The Content-Range can not be read: {why}.", code="malformed_content_range")
