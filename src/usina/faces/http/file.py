"""Files: sent, described, served, deleted."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from usina.http_kit.bytes import BYTES_ANSWERS, BytesResponse, StoredBytes
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import once
from usina.http_kit.multipart import MULTIPART, read_parts
from usina.http_kit.problem import problems, unknown_fields
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import FieldError, Invalid, TooLarge
from usina.kernel.files.file import File
from usina.kernel.files.reception import Reception
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/files", tags=["files"])

Reading = Annotated[Call, needs(Permission.FILES_READ)]
Writing = Annotated[Call, needs(Permission.FILES_WRITE)]

FileId = Annotated[str, Path(description="The file's id.", json_schema_extra={"format": "uuid"})]
IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "1 to 255 visible ASCII characters: asking again answers the same again.",
    "schema": {"type": "string", "maxLength": 255},
}
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
    "additionalProperties": False,
}
_FORM_SLACK: Final = 64 * 1024
"""What the form around a file may take."""


class FileDocument(BaseModel):
    """A file of the organization; its bytes never change."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01981c3e-1b2c-7a55-8e11-5d6c7b8a9f00",
                "name": "teapot.png",
                "media_type": "image/png",
                "size_bytes": 48213,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "created_at": "2026-11-21T10:00:00.000000Z",
            }
        }
    )

    id: str
    name: str
    media_type: str = Field(description="What the bytes say.")
    size_bytes: int
    sha256: str
    created_at: datetime


def file_document(file: File) -> dict[str, Any]:
    """The file as clients see it (:class:`FileDocument`)."""
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "created_at": rfc3339(file.created_at),
    }


@router.post(
    "",
    summary="Upload a file",
    status_code=201,
    response_model=FileDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {MULTIPART: {"schema": _FORM}}},
    },
)
async def upload_file(request: Request, call: Writing) -> Response:
    """Streamed into the store; an upload that stops half-way leaves nothing."""
    with once(request, call) as asked:
        async with call.platform.files.reception(call.organization_id) as reception:
            file = await _receive(request, call, reception)
            replay = await asked.replay(_fingerprint(file))
            if replay is not None:
                return replay
            answer = json_answer(
                file_document(file), 201, {"location": f"{router.prefix}/{file.id}"}
            )

            def keep(tx: Transaction) -> None:
                reception.insert(tx)
                asked.record(tx, answer)

            await call.platform.database.write(keep, tenant=call.organization_id)
            return answer_response(answer)


async def _receive(request: Request, call: Call, reception: Reception) -> File:
    """The one file of the form."""
    refuse_declared_length(request, call.platform.settings.max_upload_bytes + _FORM_SLACK)
    async for part in read_parts(request):
        if part.name != "file":
            raise unknown_fields([FieldError(f"/{part.name}", "The form has one field, file.")])
        if reception.files:
            raise Invalid.at("/file", "The field stands twice; send one file at a time.")
        await reception.take_in(part.filename or "", part.content_type, part.chunks())
    if not reception.files:
        raise Invalid.at("/file", "The form has no field named file.")
    return reception.files[0]


def refuse_declared_length(request: Request, most_bytes: int) -> None:
    """Refuses what says to be too large before a byte of it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise TooLarge(f"The body has {declared} bytes; a file has at most USINA_MAX_UPLOAD_BYTES.")


def _fingerprint(file: File) -> str:
    return hashlib.sha256(f"{file.name}\n{file.sha256}".encode()).hexdigest()


@router.get(
    "/{file_id}",
    summary="Get a file's description",
    response_model=FileDocument,
    responses=problems(401, 403, 404),
)
async def get_file(file_id: FileId, call: Reading) -> Response:
    """Name, sniffed type, size and hash."""
    return json_response(file_document(await call.platform.files.get(call.caller, file_id)))


@router.get(
    "/{file_id}/content",
    summary="Get a file's bytes",
    response_class=Response,
    responses={**BYTES_ANSWERS, **problems(401, 403, 404, 410, 416)},
)
async def get_file_content(file_id: FileId, call: Reading) -> Response:
    """With `Range`, `If-Range` and `If-None-Match`."""
    files = call.platform.files
    file = await files.get(call.caller, file_id)
    return BytesResponse(
        StoredBytes(
            name=file.name,
            media_type=file.media_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            read=lambda start, stop: files.read(file, start, stop),
        )
    )


@router.delete(
    "/{file_id}",
    summary="Delete a file",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409),
)
async def delete_file(file_id: FileId, call: Writing) -> Response:
    """Refused with `file_in_use` while an unfinished job reads it."""
    note = call.note("file.deleted", ("file", file_id))
    await call.platform.files.delete(call.caller, file_id, note)
    return Response(status_code=204)
