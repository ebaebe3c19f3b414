"""Streams of events whose source goes away."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usina.http_kit.sse import event_stream, frame
from usina.kernel.errors import Unavailable


async def _frames(error: Exception) -> AsyncGenerator[bytes]:
    yield frame("job.running", {"seq": 2}, "c2")
    raise error


async def _read(error: Exception) -> str:
    async def stream(_: Request) -> Response:
        return event_stream(_frames(error))

    transport = httpx2.ASGITransport(Starlette(routes=[Route("/", stream)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
        return (await client.get("/")).text


async def test_a_database_that_goes_away_ends_the_stream_in_order() -> None:
    """And the client comes back with the id that it has."""
    told = await _read(Unavailable("The database was lost."))
    assert told == 'id: c2\nevent: job.running\ndata: {"seq":2}\n\n'


async def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(BaseException, match="ours"):
        await _read(RuntimeError("ours"))
