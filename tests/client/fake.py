"""A platform of the tests: real HTTP on a loopback port, answers as the test scripts them."""

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

JOB_ID = "0190aaaa-0000-7000-8000-000000000001"

Answer = Response | Callable[["Seen"], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    raw_path: bytes
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str, str, bytes]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakePlatform:
    """Answers each "METHOD /path" from its script, the last answer for ever; records requests.

    `blind` reads request bodies without keeping them.
    """

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.seen: list[Seen] = []
        self.blind = False
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        methods = ["GET", "POST", "PUT", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])
        config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def on(self, route: str, *answers: Answer) -> None:
        self.script[route] = list(answers)

    def forget(self) -> None:
        self.script.clear()
        self.seen.clear()

    def requests(self, route: str) -> list[Seen]:
        method, path = route.split(" ")
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    async def _answer(self, request: Request) -> Response:
        seen = await _record(request, blind=self.blind)
        self.seen.append(seen)
        answers = self.script.get(f"{seen.method} {seen.path}")
        if not answers:
            return problem(404, "not_found")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Response):
            return answer
        made = answer(seen)
        return made if isinstance(made, Response) else await made


async def _record(request: Request, *, blind: bool) -> Seen:
    seen = Seen(
        method=request.method,
        path=request.scope["path"],
        raw_path=request.scope["raw_path"],
        query=request.query_params.multi_items(),
        headers=dict(request.headers),
    )
    if blind:
        async for _ in request.stream():
            pass
        return seen
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    seen.fields[name] = value
                else:
                    content = await value.read()
                    media_type = value.content_type or ""
                    seen.files.append((name, value.filename or "", media_type, content))
        return seen
    return replace(seen, body=await request.body())


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    return JSONResponse(body, status, {k.replace("_", "-"): v for k, v in headers.items()})


def problem(status: int, code: str, detail: str = "No.", **more: Any) -> Response:
    body = {"type": "about:blank", "title": "T", "status": status, "code": code, "detail": detail}
    body["request_id"] = "req-1"
    headers = {"retry-after": str(more.pop("retry_after"))} if "retry_after" in more else None
    return JSONResponse({**body, **more}, status, headers, "application/problem+json")


def sse(*messages: str, broken: bool = False, endless: bool = False) -> Callable[[Seen], Response]:
    """A stream of these messages; after them it is closed, cut (`broken`) or left open."""

    async def lines() -> AsyncIterator[bytes]:
        for message in messages:
            yield message.encode()
        if broken:
            raise ConnectionError("cut")
        if endless:
            await asyncio.Event().wait()

    return lambda _: StreamingResponse(lines(), media_type="text/event-stream")


def event(seq: int | None, kind: str, **data: Any) -> str:
    body: dict[str, Any] = {"job_id": JOB_ID, "type": kind, "data": data}
    if seq is not None:
        body |= {"id": f"c{seq}", "seq": seq, "at": "2026-01-01T00:00:00Z"}
    lines = [f"event: {kind}", f"data: {json.dumps(body)}"]
    return "\r\n".join(([f"id: c{seq}"] if seq is not None else []) + lines) + "\r\n\r\n"


def cut(content: bytes, at: int) -> Callable[[Seen], Response]:
    """An answer that announces all of the content and ends after `at` bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content[:at]
        raise ConnectionError("cut")

    return lambda _: StreamingResponse(pieces(), headers={"content-length": str(len(content))})


def ranged(content: bytes) -> Callable[[Seen], Response]:
    def reply(seen: Seen) -> Response:
        wanted = seen.headers.get("range")
        if wanted is None:
            return Response(content)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return Response(content[start:], 206)

    return reply


def job(status: str = "QUEUED", **more: Any) -> dict[str, Any]:
    return {
        "id": JOB_ID,
        "model": "echo-v1",
        "model_version": "1.0.0",
        "status": status,
        "progress": 1.0 if status == "SUCCEEDED" else 0.0,
        "stage": None,
        "params": {},
        "inputs": {},
        "priority": 0,
        "attempt": 1,
        "max_attempts": 3,
        "labels": {},
        "created_at": "2026-01-01T00:00:00Z",
        "started_at": None,
        "finished_at": None,
        "queue_position": None,
        "waiting_reason": None,
        "cancel_requested_at": None,
        "error": None,
        "artifacts": [],
        "metrics": {"queued_seconds": None, "run_seconds": None, "peak_memory_bytes": None},
    } | more


def file(content: bytes, name: str = "chair.png", **more: Any) -> dict[str, Any]:
    return {
        "id": "f1",
        "name": name,
        "media_type": "image/png",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": "2026-01-01T00:00:00Z",
    } | more


def artifact(content: bytes, name: str = "mesh.glb", **more: Any) -> dict[str, Any]:
    return file(content, name, id="a1", kind="model", url="/signed") | more


def page(items: Iterable[Any], next_cursor: str | None = None) -> Response:
    return answer({"items": list(items), "next_cursor": next_cursor})
