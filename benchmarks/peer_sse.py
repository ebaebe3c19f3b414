"""The peer of the live benchmark: sse-starlette alone, on the same server, with a queue a client.

``python -m benchmarks.peer_sse`` prints ``ready`` and its address; every line on its stdin is an
event for all. No log, no resume, no keys: what it costs to send a frame to many.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator

import uvloop
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from usina.server import bind, make_server

_queues: set[asyncio.Queue[ServerSentEvent]] = set()


async def events(request: Request) -> EventSourceResponse:
    queue = asyncio.Queue[ServerSentEvent]()
    _queues.add(queue)

    async def frames() -> AsyncGenerator[ServerSentEvent]:
        try:
            while True:
                yield await queue.get()
        finally:
            _queues.discard(queue)

    return EventSourceResponse(frames())


async def main() -> None:
    listener = bind("127.0.0.1", 0)
    server = make_server(Starlette(routes=[Route("/api/v1/events", events)]))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()
    print(f"ready {host}:{port}", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    number = 0
    async for line in lines:
        number += 1
        event = ServerSentEvent(line.decode().strip(), event="job.progress", id=str(number))
        for queue in _queues:
            queue.put_nowait(event)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(main())
