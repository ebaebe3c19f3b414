"""What telling a caller costs a request: the key, the permission, the rates and their headers.

In one process, on the embedded platform, over the application itself, so that no socket is in the
figure. Told is processor time: a request that is answered at once (``GET /api/v1/auth/me``, and a
job that is looked at), and within it everything that is done to know who asks.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

from usina.app import Embedded, embedded
from usina.faces.http.app import create_app
from usina.http_kit.call import permitted
from usina.kernel.jobs.job import JobRequest
from usina.kernel.telemetry import configure_logging
from usina.kernel.tenancy.permission import Permission
from usina.settings import Settings

SHARE_MOST: Final = 0.10


def _scope(running: Embedded, app: Any, path: str, credential: tuple[bytes, bytes]) -> Any:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"here"), credential],
        "client": ("127.0.0.1", 1),
        "app": app,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "request_id": "x",
        "usina.headers": [],
    }


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _ignored(message: Any) -> None:
    assert message.get("status", 200) == 200, message


async def _cost(work: Callable[[], Awaitable[object]], count: int) -> float:
    """Microseconds of processor time of one, the median of five rounds."""
    found: list[float] = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(count):
            await work()
        found.append((time.process_time() - began) / count * 1e6)
    return statistics.median(found)


async def _measure(count: int) -> list[tuple[str, float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), slots=1, log_level="error", _env_file=None)
        async with embedded(settings) as running:
            app = create_app(running.platform)
            key = running.credentials.api_key
            caller = await running.platform.gate.identify(key, None)
            [job] = await running.platform.jobs.submit(caller, [JobRequest("echo-v1")])
            await running.platform.jobs.wait(caller.organization_id, job.id, 30)
            return [
                (what, await _request(running, app, path, header, count), checked)
                for what, path, header in (
                    ("me", "/api/v1/auth/me", (b"x-api-key", key.encode())),
                    ("a job", f"/api/v1/jobs/{job.id}", (b"x-api-key", key.encode())),
                )
                for checked in [await _check(running, app, path, header, count)]
            ]


async def _request(
    running: Embedded, app: Any, path: str, header: tuple[bytes, bytes], count: int
) -> float:
    async def ask() -> None:
        await app(_scope(running, app, path, header), _nothing, _ignored)

    return await _cost(ask, count)


async def _check(
    running: Embedded, app: Any, path: str, header: tuple[bytes, bytes], count: int
) -> float:
    inner: Any = getattr(app, "_app", app)

    async def ask() -> None:
        request = Request(_scope(running, inner, path, header), _nothing)
        await permitted(request, Permission.JOBS_READ)

    return await _cost(ask, count * 5)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=400)
    given = arguments.parse_args()
    configure_logging("error", "json")
    missed = 0
    for what, request, check in asyncio.run(_measure(given.count)):
        share = check / request
        within = "within" if share <= SHARE_MOST else "ABOVE"
        print(
            f"{what}: {request:.0f} us of processor a request, {check:.1f} us to know who asks:"
            f" {share:.1%}, {within} the aim of {SHARE_MOST:.0%}"
        )
        missed += share > SHARE_MOST
    return 1 if missed else 0
