"""Sweeps over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from usina.apps.cfd.bed.http import Reading, Writing
from usina.apps.cfd.simulation.document import SweepDocument, sweep_document
from usina.apps.cfd.simulation.settings import SweepPlan
from usina.apps.cfd.simulation.simulation import Simulation, Sweep
from usina.apps.cfd.simulation.state import SimulationState
from usina.apps.cfd.simulation.sweep import Sweeps, SweepState
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.idempotency.service import Answer

router = APIRouter(prefix="/api/v1/simulations/sweeps", tags=["cfd"])

SweepId = Annotated[str, Path(description="The sweep's id.", json_schema_extra={"format": "uuid"})]
_PLAN: Final[TypeAdapter[SweepPlan]] = TypeAdapter(SweepPlan)


@router.post(
    "",
    summary="Simulate every combination of some values",
    status_code=202,
    response_model=SweepDocument,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422, 429),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], **json_body(SweepPlan)},
)
async def create_sweep(request: Request, call: Writing) -> Response:
    """At most 256 simulations; when all have ended, a table and a plot of them."""
    with once(request, call) as asked:
        plan, body = await read_json(request, _PLAN, call.platform.settings.max_body_bytes)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, sweep: Sweep, made: Sequence[Simulation]) -> None:
            asked.record(tx, _accepted(sweep, made, call))
            told = {"simulations": len(made), "solver": sweep.solver}
            call.note("sweep.created", ("sweep", sweep.id), after=told)(tx)

        sweep, made = await Sweeps(call.platform, call.caller).create(plan, keep)
    return answer_response(_accepted(sweep, made, call))


@router.get(
    "",
    summary="List sweeps",
    response_model=PageDocument[SweepDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_sweeps(request: Request, call: Reading) -> Response:
    """Newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("sweeps", query.cursor)
    page = await Sweeps(call.platform, call.caller).list(after, query.limit)
    return json_response(answer_page("sweeps", page, lambda state: _document(state, call)))


@router.get(
    "/{sweep_id}",
    summary="Get a sweep",
    response_model=SweepDocument,
    responses=problems(401, 403, 404),
)
async def get_sweep(sweep_id: SweepId, call: Reading) -> Response:
    """How its simulations are; at its end the table and the plot."""
    state = await Sweeps(call.platform, call.caller).get(sweep_id)
    return json_response(_document(state, call))


@router.post(
    "/{sweep_id}/cancel",
    summary="Cancel a sweep",
    status_code=202,
    response_model=SweepDocument,
    responses={
        200: {"description": "It had ended already.", "model": SweepDocument},
        **problems(401, 403, 404),
    },
)
async def cancel_sweep(sweep_id: SweepId, call: Writing) -> Response:
    """With all of its simulations that have not ended. Idempotent; no table is made."""
    note = call.note("sweep.cancelled", ("sweep", sweep_id))
    was_open, state = await Sweeps(call.platform, call.caller).cancel(sweep_id, note)
    return json_response(_document(state, call), 202 if was_open else 200)


def _document(state: SweepState, call: Call) -> dict[str, Any]:
    return sweep_document(state.sweep, state.job, state.members, call.link)


def _accepted(sweep: Sweep, made: Sequence[Simulation], call: Call) -> Answer:
    members = [SimulationState(each, None, {}) for each in made]
    document = sweep_document(sweep, None, members, call.link)
    return json_answer(document, 202, {"location": f"{router.prefix}/{sweep.id}"})
