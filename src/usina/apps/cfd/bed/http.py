"""Beds over HTTP."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import RootModel, TypeAdapter
from starlette.responses import Response

from usina.apps.cfd.bed.document import BedDocument, bed_document
from usina.apps.cfd.bed.language.writer import write_bed
from usina.apps.cfd.bed.plan import BedPlan
from usina.apps.cfd.bed.removal import delete_bed
from usina.apps.cfd.bed.service import Beds
from usina.apps.cfd.bed.state import BedState
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.idempotency.service import Answer
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/beds", tags=["cfd"])

BedId = Annotated[str, Path(description="The bed's id.", json_schema_extra={"format": "uuid"})]
Reading = Annotated[Call, needs(Permission.APPS_READ)]
Writing = Annotated[Call, needs(Permission.APPS_WRITE)]
BED_TEXT: Final = "text/x-bed"
_TEXTS: Final = frozenset({BED_TEXT, "text/plain"})


class Given(RootModel[dict[str, Any]]):
    """What was said; read as a plan with what it is said of."""


_GIVEN: Final[TypeAdapter[Given]] = TypeAdapter(Given)


@router.get(
    "",
    summary="List beds",
    response_model=PageDocument[BedDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_beds(request: Request, call: Reading) -> Response:
    """Newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("beds", query.cursor)
    page = await Beds(call.platform, call.caller).list(after, query.limit)
    return json_response(answer_page("beds", page, bed_document))


@router.post(
    "",
    summary="Make a bed",
    status_code=201,
    response_model=BedDocument,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422, 429),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], **json_body(BedPlan)},
)
async def create_bed(request: Request, call: Writing) -> Response:
    """Its generation starts; a bed of the same geometry that is there already is shared."""
    with once(request, call) as asked:
        given, body = await read_json(request, _GIVEN, call.platform.settings.max_body_bytes)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, made: BedState) -> None:
            asked.record(tx, _created(made))
            call.note("bed.created", ("bed", made.bed.id), after={"name": made.bed.plan.name})(tx)

        made = await Beds(call.platform, call.caller).create(given.root, keep)
        return answer_response(_created(made))


@router.get(
    "/{bed_id}",
    summary="Get a bed",
    response_model=BedDocument,
    responses={
        200: {"content": {BED_TEXT: {"schema": {"type": "string"}}}},
        **problems(401, 403, 404),
    },
)
async def get_bed(request: Request, bed_id: BedId, call: Reading) -> Response:
    """With `Accept: text/x-bed` or `text/plain` its `.bed` text."""
    state = await Beds(call.platform, call.caller).get(bed_id)
    wanted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip()
    if wanted in _TEXTS:
        return Response(write_bed(state.bed.plan), media_type=wanted)
    return json_response(bed_document(state))


@router.put(
    "/{bed_id}",
    summary="Change a bed",
    response_model=BedDocument,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429),
    openapi_extra=json_body(BedPlan),
)
async def change_bed(request: Request, bed_id: BedId, call: Writing) -> Response:
    """What is left out stays. Where the geometry changes its generation starts anew."""
    given, _ = await read_json(request, _GIVEN, call.platform.settings.max_body_bytes)
    note = call.note("bed.changed", ("bed", bed_id))
    state = await Beds(call.platform, call.caller).change(bed_id, given.root, note)
    return json_response(bed_document(state))


@router.delete(
    "/{bed_id}",
    summary="Delete a bed",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 503),
)
async def remove_bed(bed_id: BedId, call: Writing) -> Response:
    """With its files, its jobs and its simulations; what runs is cancelled."""
    note = call.note("bed.deleted", ("bed", bed_id))
    await delete_bed(call.platform, call.organization_id, bed_id, note)
    return Response(status_code=204)


def _created(made: BedState) -> Answer:
    location = {"location": f"{router.prefix}/{made.bed.id}"}
    return json_answer(bed_document(made), 201, location)
