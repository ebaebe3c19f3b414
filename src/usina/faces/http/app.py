"""The HTTP window: every route of the platform on one ASGI application."""

from functools import cache
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import ASGIApp

from usina import __version__
from usina.faces.http import (
    api_key,
    artifact,
    audit,
    auth,
    delivery,
    event,
    file,
    job,
    log,
    member,
    model,
    operation,
    organization,
    queue,
    schedule,
    session,
    submit,
    upload,
    webhook,
    worker,
)
from usina.faces.http.express import Express
from usina.faces.http.middleware import Edge, HeadAsGet
from usina.faces.http.openapi import describe
from usina.faces.http.schedule import SchedulePlan
from usina.faces.http.submission import BatchSubmission, Submission
from usina.faces.http.webhook import WebhookChange, WebhookPlan
from usina.faces.http.websocket import LiveSocket
from usina.http_kit.problem import MethodNotAllowed, problem_response
from usina.kernel.errors import Malformed, NotFound, Problem
from usina.kernel.platform import Platform
from usina.kernel.registry import loaded

_ASKED_WITH: Final = (
    *("Authorization", "X-Api-Key", "Content-Type", "Content-Range", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "Range", "X-Request-ID"),
)
_ANSWERED_WITH: Final = (
    *("Content-Disposition", "Content-Range", "ETag", "Idempotency-Replayed", "Location"),
    *("RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"),
)
"""What a browser lets pages of other origins send and read."""

_PREFLIGHT_SECONDS: Final = 600
_ROUTERS = (
    submit.router,
    job.router,
    event.router,
    log.router,
    file.router,
    upload.router,
    artifact.router,
    model.router,
    worker.router,
    queue.router,
    schedule.router,
    auth.router,
    session.router,
    api_key.router,
    member.router,
    organization.router,
    audit.router,
    delivery.router,
    webhook.router,
    operation.router,
)


def create_app(platform: Platform) -> ASGIApp:
    """The application over a platform that is started and stopped by whoever made it."""
    app: ASGIApp = Express(create_api(platform))
    origins = platform.settings.cors_origins
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
        allow_headers=_ASKED_WITH,
        expose_headers=_ANSWERED_WITH,
        max_age=_PREFLIGHT_SECONDS,
    )


def create_api(platform: Platform) -> FastAPI:
    """Every route, as FastAPI serves and describes them."""
    app = FastAPIOffline(
        title="Usina",
        version=__version__,
        static_url="/docs/static",
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        middleware=[Middleware(Edge), Middleware(HeadAsGet)],
    )
    app.state.platform = platform
    # The routes as they are, the busiest first: an included router would be searched twice.
    rooms: list[APIRouter] = [loaded(room.http) for room in platform.registry.apps if room.http]
    app.router.routes[:0] = [r for router in (*_ROUTERS, *rooms) for r in router.routes]
    app.router.routes.append(WebSocketRoute("/api/v1/ws", LiveSocket(platform)))
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    bodies = [Submission, BatchSubmission, SchedulePlan, WebhookPlan, WebhookChange]
    app.openapi = cache(lambda: describe(app, bodies))
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error, request.scope)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses, in the one shape of refusals."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem_response(NotFound(), request.scope)
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(request))
        problem = MethodNotAllowed(f"{request.method} is not served here; try {allowed}.")
        response = problem_response(problem, request.scope)
        response.headers["allow"] = allowed
        return response
    return problem_response(Malformed(str(error.detail), code="malformed"), request.scope)


def _allowed_methods(request: Request) -> list[str]:
    """Every method of the path that fits best: `/jobs/batch` is more than some `/jobs/{job_id}`."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    best = min(fitting, key=lambda route: len(route.param_convertors)).path
    methods = {name for route in fitting if route.path == best for name in route.methods or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
