"""The files of a bed over HTTP: sent, listed, served, deleted."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from usina.apps.cfd.bed.document import (
    BedDocument,
    BedFileDocument,
    bed_document,
    bed_file_document,
)
from usina.apps.cfd.bed.file import BedFiles
from usina.apps.cfd.bed.http import BedId, Reading, Writing, router
from usina.apps.cfd.bed.service import Beds
from usina.apps.cfd.bed.upload import Sent, read_parameters, read_upload
from usina.http_kit.bytes import BYTES_ANSWERS, BytesResponse
from usina.http_kit.idempotent import KEY_PARAMETER, once
from usina.http_kit.multipart import MULTIPART
from usina.http_kit.paging import PageDocument, page_document
from usina.http_kit.problem import problems
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.db.unit_of_work import Transaction

files_router = APIRouter(prefix=router.prefix, tags=["cfd"])

FileId = Annotated[str, Path(description="The file's id.", json_schema_extra={"format": "uuid"})]
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
    "additionalProperties": False,
}


@files_router.post(
    "/{bed_id}/upload",
    summary="Send a bed its parameters, particles or shape",
    status_code=201,
    response_model=BedFileDocument,
    responses={
        200: {"description": "Parameters: the bed, as a change.", "model": BedDocument},
        **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        "requestBody": {"required": True, "content": {MULTIPART: {"schema": _FORM}}},
    },
)
async def upload_to_bed(request: Request, bed_id: BedId, call: Writing) -> Response:
    """A `.bed` text or the JSON of a bed changes it; a table of particles (CSV) takes the place of
    its generation; an STL is kept beside it."""
    beds = Beds(call.platform, call.caller)
    bed = await beds.find(bed_id)
    with once(request, call) as asked:
        async with call.platform.files.reception(call.organization_id) as reception:
            upload = await read_upload(request, call.platform, reception)
            if (replay := await asked.replay(upload.fingerprint)) is not None:
                return replay
            note = call.note("bed.changed", ("bed", bed.id), after={"file": upload.file.name})
            if upload.kind is Sent.PARAMETERS:
                plan = await read_parameters(call.platform, upload, bed.plan)
                answer = json_answer(bed_document(await beds.replace(bed, plan, note)))
                await asked.keep(answer)
                return answer_response(answer)
            location = {"location": f"{router.prefix}/{bed.id}/files/{upload.file.id}"}
            answer = json_answer(bed_file_document(upload.file), 201, location)

            def keep(tx: Transaction) -> None:
                asked.record(tx, answer)
                note(tx)

            takes = {Sent.PARTICLES: beds.take_particles, Sent.SHAPE: beds.take_attachment}
            await takes[upload.kind](bed, reception, keep)
    return answer_response(answer)


@files_router.get(
    "/{bed_id}/files",
    summary="List a bed's files",
    response_model=PageDocument[BedFileDocument],
    responses=problems(401, 403, 404),
)
async def list_bed_files(bed_id: BedId, call: Reading) -> Response:
    """What its generation has made and what was sent to it, all in one page."""
    bed = await Beds(call.platform, call.caller).find(bed_id)
    found = await BedFiles(call.platform, bed).list()
    return json_response(page_document(map(bed_file_document, found), None))


@files_router.get(
    "/{bed_id}/files/{file_id}",
    summary="Get the bytes of a bed's file",
    response_class=Response,
    responses={**BYTES_ANSWERS, **problems(401, 403, 404, 410, 416)},
)
async def get_bed_file(bed_id: BedId, file_id: FileId, call: Reading) -> Response:
    """With `Range`, `If-Range` and `If-None-Match`."""
    bed = await Beds(call.platform, call.caller).find(bed_id)
    return BytesResponse(await BedFiles(call.platform, bed).stored(file_id))


@files_router.delete(
    "/{bed_id}/files/{file_id}",
    summary="Delete a bed's file",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409),
)
async def delete_bed_file(bed_id: BedId, file_id: FileId, call: Writing) -> Response:
    """Refused with `file_in_use` while an unfinished job reads it, or another bed shares it."""
    bed = await Beds(call.platform, call.caller).find(bed_id)
    note = call.note("bed.file_deleted", ("bed", bed_id), before={"file": file_id})
    await BedFiles(call.platform, bed).delete(file_id, note)
    return Response(status_code=204)
