"""How the clients reach the platform in memory: in place of a network."""

from asyncio import sleep as async_sleep
from collections.abc import Callable
from time import sleep

from usina_client._transport import (
    AsyncBaseTransport,
    BaseTransport,
    HttpRequest,
    ReadError,
    Response,
)
from usina_client.testing._request import Answer, Seen

HELD_SECONDS = 0.01
"""How long a long-poll of a job that is held takes."""


class Transport(BaseTransport, AsyncBaseTransport):
    """Hands each request to ``answer``, which may say null: the connection breaks."""

    def __init__(self, answer: Callable[[Seen], Answer | None]) -> None:
        self._answer = answer

    def handle_request(self, request: HttpRequest) -> Response:
        response = self._respond(request, request.read())
        if _waits(request):
            sleep(HELD_SECONDS)
        return response

    async def handle_async_request(self, request: HttpRequest) -> Response:
        response = self._respond(request, await request.aread())
        if _waits(request):
            await async_sleep(HELD_SECONDS)
        return response

    def _respond(self, request: HttpRequest, body: bytes) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.raw_path.decode("ascii")
        answer = self._answer(Seen.of(request.method, target, headers, body))
        if answer is None:
            raise ReadError("the connection broke", request=request)
        return Response(
            answer.status, headers=dict(answer.headers), content=answer.body, request=request
        )


def _waits(request: HttpRequest) -> bool:
    return request.url.params.get("wait_seconds") not in {None, "0", "0.0"}
