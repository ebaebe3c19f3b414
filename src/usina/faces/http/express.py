"""The two busiest requests, answered without FastAPI's layers around them.

Submitting a job and waiting for its end are about half of what a small job costs the server. Their
routes are declared like all others, and the same functions answer here: only matching and
dependencies are done by hand (docs/decisions/0013-two-routes-by-express.md).
"""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from usina.faces.http.job import get_job
from usina.faces.http.middleware import Edge
from usina.faces.http.submit import submit_job
from usina.http_kit.call import permitted
from usina.http_kit.problem import problem_response
from usina.kernel.errors import Problem
from usina.kernel.tenancy.permission import Permission

_JOBS: Final = "/api/v1/jobs"
_JOB: Final = f"{_JOBS}/"
_ID_LENGTH: Final = 36


class Express:
    """Outermost: answers the two, and hands everything else on."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._submit = Edge(_answering(_submit))
        self._get = Edge(_answering(_get))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        await self._way(scope)(scope, receive, send)

    def _way(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http" or not scope["path"].startswith(_JOBS):
            return self._app
        method, path = scope["method"], scope["path"]
        if method == "POST" and path in (_JOBS, _JOB):
            return self._submit
        if method == "GET" and path.startswith(_JOB):
            job_id = path[len(_JOB) :].removesuffix("/")
            if len(job_id) == _ID_LENGTH and "/" not in job_id:
                return self._get
        return self._app


async def _submit(request: Request) -> Response:
    return await submit_job(request, await permitted(request, Permission.JOBS_WRITE))


async def _get(request: Request) -> Response:
    job_id: str = request.scope["path"][len(_JOB) :]
    return await get_job(request, job_id, await permitted(request, Permission.JOBS_READ))


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except Problem as problem:
            response = problem_response(problem, scope)
        await response(scope, receive, send)

    return answer
