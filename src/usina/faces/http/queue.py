"""The queues: how much waits and why, and to pause them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.paging import PageDocument, PageQuery, page_by_name
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.jobs.queue import Queue
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/queues", tags=["operators"])

Reading = Annotated[Call, needs(Permission.PLATFORM_READ)]
Operating = Annotated[Call, needs(Permission.PLATFORM_OPERATE)]

QueueName = Annotated[str, Path(description="`default`, `gpu` or `io`.")]


class ThroughputDocument(BaseModel):
    jobs_per_minute: float = Field(description="Jobs that succeeded or failed.")
    window_seconds: float = Field(description="Over so long, until now.")


class WarmModelDocument(BaseModel):
    model: str
    workers: list[str] = Field(description="The ids of those that hold its program loaded.")


class QueueResourcesDocument(BaseModel):
    """Of the living workers that take from the queue."""

    workers: int
    slots: int
    busy_slots: int


class QueueDocument(BaseModel):
    """A queue now."""

    name: str
    paused: bool = Field(description="It gives nothing out; what runs goes on.")
    depth: int = Field(description="Queued jobs.")
    running: int = Field(description="Running jobs.")
    oldest_wait_seconds: float | None = Field(
        description="Of the job that could be given out and waits longest."
    )
    throughput: ThroughputDocument
    warm_models: list[WarmModelDocument]
    resources: QueueResourcesDocument


@router.get(
    "",
    summary="List the queues",
    response_model=PageDocument[QueueDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_queues(request: Request, call: Reading) -> Response:
    """Every queue by name. They belong to the platform, not to an organization."""
    query = read_query(request, PageQuery)
    queues = await call.platform.queues.list()
    return json_response(page_by_name("queues", query, queues, _document))


@router.post(
    "/{name}/pause",
    summary="Pause a queue",
    response_model=QueueDocument,
    responses=problems(401, 403, 404),
)
async def pause_queue(name: QueueName, call: Operating) -> Response:
    """It gives nothing out from now on; running jobs go on. Asking again changes nothing."""
    return json_response(
        _document(
            await call.platform.queues.pause(name, call.note("queue.paused", ("queue", name)))
        )
    )


@router.post(
    "/{name}/resume",
    summary="Resume a queue",
    response_model=QueueDocument,
    responses=problems(401, 403, 404),
)
async def resume_queue(name: QueueName, call: Operating) -> Response:
    """It gives jobs out again. Asking again changes nothing."""
    return json_response(
        _document(
            await call.platform.queues.resume(name, call.note("queue.resumed", ("queue", name)))
        )
    )


def _document(queue: Queue) -> dict[str, Any]:
    window = queue.window.total_seconds()
    wait = queue.oldest_wait
    return {
        "name": queue.name,
        "paused": queue.paused,
        "depth": queue.depth,
        "running": queue.running,
        "oldest_wait_seconds": None if wait is None else wait.total_seconds(),
        "throughput": {
            "jobs_per_minute": queue.finished * 60 / window if window else 0.0,
            "window_seconds": window,
        },
        "warm_models": [{"model": m, "workers": list(ids)} for m, ids in queue.warm.items()],
        "resources": {
            "workers": len(queue.workers),
            "slots": sum(worker.room.slots for worker in queue.workers),
            "busy_slots": sum(worker.busy_slots for worker in queue.workers),
        },
    }
