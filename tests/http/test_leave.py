"""A platform that is told to leave while clients wait."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from starlette.types import Receive, Scope, Send

from tests.torture.platform import get_json, running
from usina.faces.http.middleware import Edge
from usina.server import bind, make_server, url_of


def _read_whole(client: httpx2.Client, path: str) -> str:
    with client.stream("GET", path, headers={"accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        return "".join(stream.iter_text())


def test_who_waits_is_answered_with_what_there_is(tmp_path: Path) -> None:
    with running(tmp_path / "data") as platform, platform.client() as client:
        submission = {"model": "echo-v1", "params": {"seconds": 600}}
        job = client.post("/jobs", json=submission).json()["id"]
        with ThreadPoolExecutor(3) as threads:
            polled = threads.submit(client.get, f"/jobs/{job}?wait_seconds=60")
            streamed = threads.submit(_read_whole, client, f"/jobs/{job}/events")
            logged = threads.submit(_read_whole, client, f"/jobs/{job}/logs")
            while get_json(client, f"/jobs/{job}")["status"] != "RUNNING":
                pass
            assert platform.stop() == 0
            assert polled.result(10).status_code == 200
            assert "event: job.running" in streamed.result(10)
            logged.result(10)
    assert "Exception in ASGI" not in (tmp_path / "platform.log").read_text()


async def test_what_does_not_end_in_time_is_not_known_to_have_happened() -> None:
    begun = asyncio.Event()

    async def hang(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    listener = bind("127.0.0.1", 0)
    server = make_server(Edge(hang))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx2.AsyncClient(base_url=url_of(listener), timeout=30) as client:
        asked = asyncio.create_task(client.post("/api/v1/jobs"))
        await begun.wait()
        server.should_exit = True
        answer = await asked
    await serving
    listener.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_nothing_that_is_written_waits_for_an_acknowledgement() -> None:
    """Whatever event loop serves: what one socket has, the connections that it takes have too."""
    listener = bind("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
