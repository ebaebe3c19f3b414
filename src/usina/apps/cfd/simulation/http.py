"""Simulations over HTTP."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from pydantic import Field, TypeAdapter
from starlette.responses import Response

from usina.apps.cfd.bed.http import BedId, Reading, Writing
from usina.apps.cfd.simulation.document import SimulationDocument, simulation_document
from usina.apps.cfd.simulation.service import Simulations
from usina.apps.cfd.simulation.settings import Settings
from usina.apps.cfd.simulation.simulation import Simulation
from usina.apps.cfd.simulation.state import SimulationState
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.idempotency.service import Answer

router = APIRouter(prefix="/api/v1", tags=["cfd"])

SimulationId = Annotated[
    str, Path(description="The simulation's id.", json_schema_extra={"format": "uuid"})
]
_SETTINGS: Final[TypeAdapter[Settings]] = TypeAdapter(Settings)


class SimulationQuery(PageQuery):
    bed: str | None = Field(None, description="Of this bed only.")
    sweep: str | None = Field(None, description="Of this sweep only.")


@router.post(
    "/beds/{bed_id}/simulations",
    summary="Simulate the flow through a bed",
    status_code=202,
    response_model=SimulationDocument,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 404, 409, 413, 415, 422),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], **json_body(Settings)},
)
async def create_simulation(request: Request, bed_id: BedId, call: Writing) -> Response:
    """Begins once the bed's particles are there. A list of velocities is one job on one mesh."""
    with once(request, call) as asked:
        settings, body = await read_json(request, _SETTINGS, call.platform.settings.max_body_bytes)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay
        answer: Answer | None = None

        def keep(tx: Transaction, new: Simulation) -> None:
            nonlocal answer
            answer = _accepted(new, call)
            asked.record(tx, answer)
            told = {"bed": bed_id, "solver": new.solver}
            call.note("simulation.created", ("simulation", new.id), after=told)(tx)

        made = await Simulations(call.platform, call.caller).create(bed_id, settings, keep)
    return answer_response(answer or _accepted(made.simulation, call))


@router.get(
    "/simulations",
    summary="List simulations",
    response_model=PageDocument[SimulationDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(SimulationQuery)},
)
async def list_simulations(request: Request, call: Reading) -> Response:
    """Newest first; of one bed or one sweep."""
    query = read_query(request, SimulationQuery)
    after = decode_cursor("simulations", query.cursor)
    page = await Simulations(call.platform, call.caller).list(
        after, query.limit, query.bed, query.sweep
    )
    return json_response(
        answer_page("simulations", page, lambda state: simulation_document(state, call.link))
    )


@router.get(
    "/simulations/{simulation_id}",
    summary="Get a simulation",
    response_model=SimulationDocument,
    responses=problems(401, 403, 404),
)
async def get_simulation(simulation_id: SimulationId, call: Reading) -> Response:
    """How far it is; at its end what it has found."""
    state = await Simulations(call.platform, call.caller).get(simulation_id)
    return json_response(simulation_document(state, call.link))


@router.post(
    "/simulations/{simulation_id}/cancel",
    summary="Cancel a simulation",
    status_code=202,
    response_model=SimulationDocument,
    responses={
        200: {"description": "It had ended already.", "model": SimulationDocument},
        **problems(401, 403, 404),
    },
)
async def cancel_simulation(simulation_id: SimulationId, call: Writing) -> Response:
    """Idempotent."""
    note = call.note("simulation.cancelled", ("simulation", simulation_id))
    before, state = await Simulations(call.platform, call.caller).cancel(simulation_id, note)
    document = simulation_document(state, call.link)
    return json_response(document, 200 if before.terminal else 202)


def _accepted(new: Simulation, call: Call) -> Answer:
    location = {"location": f"{router.prefix}/simulations/{new.id}"}
    return json_answer(
        simulation_document(SimulationState(new, None, {}), call.link), 202, location
    )
