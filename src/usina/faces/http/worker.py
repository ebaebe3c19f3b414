"""The workers: what they are and hold; to drain them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.worker import SeenWorker
from usina.kernel.runners.sandbox import LAYERS
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/workers", tags=["operators"])

Reading = Annotated[Call, needs(Permission.PLATFORM_READ)]
Operating = Annotated[Call, needs(Permission.PLATFORM_OPERATE)]

WorkerId = Annotated[
    str, Path(description="The worker's id.", json_schema_extra={"format": "uuid"})
]


class LayerDocument(BaseModel):
    on: bool
    reason: str | None = Field(description="Why it is not on.")


class RoomDocument(BaseModel):
    slots: int
    memory_bytes: int
    gpus: int


class CardDocument(BaseModel):
    """A GPU of a worker."""

    id: str = Field(description="As `CUDA_VISIBLE_DEVICES` takes it.")
    name: str = Field(description="Empty where the driver's tool does not know it.")
    memory_bytes: int | None = Field(description="Null where nobody says.")
    used_bytes: int | None = Field(description="When it was looked at last.")
    in_service: bool
    reason: str | None = Field(description="Why it is out of service.")


class WorkerDocument(BaseModel):
    """A worker that is there."""

    id: str
    name: str = Field(description="The name of its machine.")
    queues: list[str] = Field(description="Those that it serves.")
    slots: int
    memory_bytes: int = Field(description="What all its jobs together may declare.")
    gpus: int = Field(description="In service.")
    cards: list[CardDocument] = Field(description="Its GPUs, those out of service too.")
    free: RoomDocument = Field(description="What no job has now.")
    models: list[str] = Field(description="Those that it can run.")
    warm_models: list[str] = Field(description="Models whose programs wait loaded.")
    draining: bool = Field(description="It takes nothing more.")
    started_at: datetime
    seen_at: datetime = Field(description="Its last heartbeat.")
    sandbox: dict[str, LayerDocument] = Field(
        description="What it can put around a program, by layer; all layers are always there."
    )


@router.get(
    "",
    summary="List the workers",
    response_model=PageDocument[WorkerDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_workers(request: Request, call: Reading) -> Response:
    """The workers that were heard of lately, with what their machines put around a program.

    They belong to the platform, not to an organization, and say nothing of anybody's jobs.
    """
    query = read_query(request, PageQuery)
    page = await call.platform.workers.list(decode_cursor("workers", query.cursor), query.limit)
    return json_response(answer_page("workers", page, _document))


@router.post(
    "/{worker_id}/drain",
    summary="Drain a worker",
    response_model=WorkerDocument,
    responses=problems(401, 403, 404),
)
async def drain_worker(worker_id: WorkerId, call: Operating) -> Response:
    """It takes nothing more, gives back what has not begun, finishes what runs, and stays idle.

    Asking again changes nothing.
    """
    worker = await call.platform.workers.drain(
        worker_id, draining=True, note=call.note("worker.drained", ("worker", worker_id))
    )
    return json_response(_document(worker))


@router.post(
    "/{worker_id}/resume",
    summary="Have a drained worker take jobs again",
    response_model=WorkerDocument,
    responses=problems(401, 403, 404),
)
async def resume_worker(worker_id: WorkerId, call: Operating) -> Response:
    """Undoes a drain; asking again changes nothing."""
    worker = await call.platform.workers.drain(
        worker_id, draining=False, note=call.note("worker.resumed", ("worker", worker_id))
    )
    return json_response(_document(worker))


def _room(room: Room) -> dict[str, int]:
    return {"slots": room.slots, "memory_bytes": room.memory_bytes, "gpus": room.gpus}


def _document(worker: SeenWorker) -> dict[str, Any]:
    unknown = "it did not say"
    reasons = {name: worker.sandbox.get(name, unknown) for name in LAYERS}
    return {
        "id": worker.id,
        "name": worker.name,
        "queues": list(worker.queues),
        **_room(worker.room),
        "cards": [{**card, "in_service": card["reason"] is None} for card in worker.cards],
        "free": _room(worker.free),
        "models": list(worker.models),
        "warm_models": list(worker.warm),
        "draining": worker.draining,
        "started_at": rfc3339(worker.started_at),
        "seen_at": rfc3339(worker.seen_at),
        "sandbox": {n: {"on": not why, "reason": why or None} for n, why in reasons.items()},
    }
