"""Requests out, typed answers in; what may be repeated is repeated when the connection fails."""

import random
from asyncio import sleep
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from usina_client._error import ConflictError, ProtocolError, TransportError, error_of
from usina_client._request import Request
from usina_client._transport import (
    AsyncBaseTransport,
    AsyncHttp,
    Lost,
    Response,
    arguments,
    options,
    typed,
)
from usina_client._upload import opened

REPEATS: Final = 2
IN_PROGRESS_REPEATS: Final = 20

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class AsyncConnection:
    """A pool of connections to one platform, for one caller."""

    def __init__(
        self, url: str, api_key: str | None, timeout: float, transport: AsyncBaseTransport | None
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._http = AsyncHttp(transport=transport, **options(url, api_key, timeout))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def fetch(self, request: Request, answer: type[AnswerT]) -> AnswerT:
        """The whole answer, read as the given model."""
        response = await self.send(request)
        return read(answer, response.content)

    async def send(self, request: Request) -> Response:
        """The whole answer; repeated after a lost connection where that is safe."""
        repeats = 0
        while True:
            try:
                async with self.open(request) as response:
                    await response.aread()
                    return response
            except TransportError as fault:
                safe = request.repeatable or not fault.request_sent
                if repeats >= REPEATS or not safe:
                    raise
            except ConflictError as refusal:
                # Only after a repeat: the first request is alive, and its answer will be ours.
                ours = repeats > 0 and refusal.code == "idempotency_in_progress"
                if not ours or repeats >= IN_PROGRESS_REPEATS:
                    raise
            await sleep(pause(repeats))
            repeats += 1

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Response]:
        """An accepted answer whose body is still to be read; refusals raise their typed error."""
        try:
            with opened(request.parts, request.on_progress) as readers:
                call = arguments(request, self.timeout, readers)
                async with self._http.stream(**call) as response:
                    if not response.is_success and response.status_code not in request.accept:
                        raise error_of(
                            response.status_code,
                            await response.aread(),
                            response.headers.get("retry-after"),
                        )
                    yield response
        except Lost as fault:
            raise typed(fault, self.url) from fault


def read(answer: type[AnswerT], body: bytes | str) -> AnswerT:
    """A JSON body as the given model; ProtocolError says where it does not fit."""
    try:
        return answer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(step) for step in first["loc"]) or "the body"
        raise ProtocolError(
            f"The answer is not a {answer.__name__} of Usina's API: {place}: {first['msg']}."
        ) from error


def pause(failures: int) -> float:
    """Seconds before the next try: doubled each time up to 5 s, a quarter either way."""
    return min(5.0, 0.1 * 2**failures) * random.uniform(0.75, 1.25)  # noqa: S311
