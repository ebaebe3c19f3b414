"""A server on loopback for whatever is under test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2

from usina.server import AsgiApp, bind, make_server, url_of


@asynccontextmanager
async def served(app: AsgiApp) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the app behind a real uvicorn."""
    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx2.AsyncClient(base_url=url_of(listener), timeout=30) as client:
        yield client
    server.should_exit = True
    await serving
    listener.close()
