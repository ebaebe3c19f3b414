"""Health, readiness, metrics, and a small page with links."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, Response

from usina import __version__
from usina.http_kit.call import Platformed
from usina.http_kit.reply import json_response
from usina.kernel.telemetry import metrics_text

router = APIRouter(tags=["operation"])

_OPEN: Final[dict[str, object]] = {"security": []}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Usina</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 36rem;
       margin: 12vh auto; padding: 0 1rem; }}
h1 {{ font-size: 2rem; margin-bottom: 0; }}
p {{ margin-top: .25rem; }}
li {{ margin: .25rem 0; }}
</style>
</head>
<body>
<main>
<h1>Usina</h1>
<p>Version {version}. Uploads in, artifacts out.</p>
<ul>
<li><a href="docs">Try the API</a> and <a href="redoc">read about it</a>
(<a href="openapi.json">OpenAPI</a>)</li>
<li><a href="health">Health</a>, <a href="ready">readiness</a>, <a href="metrics">metrics</a></li>
</ul>
</main>
</body>
</html>
"""


class HealthDocument(BaseModel):
    status: Literal["ok"]
    version: str


class ReadyDocument(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(description="By dependency: `ok`, or why not.")


@router.get("/", include_in_schema=False)
async def front_page() -> HTMLResponse:
    return HTMLResponse(_PAGE.format(version=__version__))


@router.get("/health", summary="Is it alive?", response_model=HealthDocument, openapi_extra=_OPEN)
async def health() -> Response:
    """The process answers."""
    return json_response({"status": "ok", "version": __version__})


@router.get(
    "/ready",
    summary="Can it work?",
    response_model=ReadyDocument,
    responses={503: {"model": ReadyDocument, "description": "Something needed is down."}},
    openapi_extra=_OPEN,
)
async def ready(platform: Platformed) -> Response:
    """Each dependency by name; 503 when one that is needed is down."""
    can_work, checks = await platform.readiness.look()
    if can_work:
        return json_response({"status": "ok", "checks": checks})
    headers = {"retry-after": "5"}
    return json_response({"status": "unavailable", "checks": checks}, 503, headers)


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    openapi_extra=_OPEN,
)
async def metrics() -> Response:
    """All metrics in Prometheus' text format; none names an organization."""
    return Response(metrics_text(), media_type="text/plain; version=0.0.4; charset=utf-8")
