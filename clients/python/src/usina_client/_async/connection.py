"""Requests out, typed answers in; repeated where a connection broke or a server was away."""

import random
from asyncio import sleep
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from usina_client._error import ApiError, ProtocolError, TransportError, UsinaError, error_of
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
from usina_client._upload import AsyncRest, OnProgress, Part, Upload, opened

REPEATS: Final = 2
"""How often a request is sent again, unless the client is told otherwise."""

IN_PROGRESS_REPEATS: Final = 20
LONGEST_RETRY_AFTER: Final = 120.0
"""Who is told to come back later than that is better told so at once."""

MORE_TO_COME: Final = 308
"""Of an upload that goes in pieces: `Range` says what is there."""

_BAD_GATEWAYS: Final = frozenset({502, 503, 504})

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class AsyncConnection:
    """A pool of connections to one platform, for one caller."""

    def __init__(
        self,
        url: str,
        who: Mapping[str, str],
        timeout: float,
        retries: int,
        transport: AsyncBaseTransport | None,
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self._transport = transport
        self._http = AsyncHttp(transport=transport, **options(url, who, timeout))
        self._elsewhere: AsyncHttp | None = None

    async def aclose(self) -> None:
        await self._http.aclose()
        if self._elsewhere is not None:
            await self._elsewhere.aclose()

    async def fetch(self, request: Request, answer: type[AnswerT]) -> AnswerT:
        """The whole answer, read as the given model."""
        response = await self.send(request)
        return read(answer, response.content)

    async def send(self, request: Request) -> Response:
        """The whole answer; asked for again where that is safe and may help."""
        repeats = 0
        while True:
            try:
                async with self.open(request) as response:
                    await response.aread()
                    return response
            except (TransportError, ApiError) as error:
                seconds = self._seconds_to_repeat(request, error, repeats)
                if seconds is None:
                    raise
            await sleep(seconds)
            repeats += 1

    def _seconds_to_repeat(
        self, request: Request, error: TransportError | ApiError, repeats: int
    ) -> float | None:
        """How long to wait before the request is sent again; null when it is not."""
        if isinstance(error, ApiError) and error.code == "idempotency_in_progress":
            # Only after a repeat: the first request is alive, and its answer will be ours.
            ours = 0 < repeats < IN_PROGRESS_REPEATS
            return pause(repeats) if ours else None
        if repeats >= self.retries or not _may_repeat(request, error):
            return None
        asked = error.retry_after_seconds if isinstance(error, ApiError) else None
        seconds = max(pause(repeats), asked or 0.0)
        return seconds if seconds <= LONGEST_RETRY_AFTER else None

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Response]:
        """An accepted answer whose body is still to be read; refusals raise their typed error."""
        http = self._http if request.path.startswith("/") else self._http_elsewhere()
        try:
            with opened(request.parts, request.on_progress) as readers:
                call = arguments(request, self.timeout, readers)
                async with http.stream(**call) as response:
                    if not response.is_success and response.status_code not in request.accept:
                        raise error_of(
                            response.status_code,
                            await response.aread(),
                            response.headers.get("retry-after"),
                        )
                    yield response
        except Lost as fault:
            raise typed(fault, self.url) from fault

    async def put(
        self,
        url: str,
        upload: Upload,
        start: int,
        headers: Mapping[str, str],
        on_progress: OnProgress | None,
    ) -> Response:
        """What a signed address says to the bytes from ``start`` on; not repeated here."""
        with opened([Part("", upload)], on_progress, start) as [reader]:
            left = (reader.length() or 0) - start
            reader.seek(start)
            try:
                response = await self._http_elsewhere().put(
                    url,
                    headers={**headers, "Content-Length": str(left)},
                    content=AsyncRest(reader),
                )
            except Lost as fault:
                raise typed(fault, self.url) from fault
        if not response.is_success and response.status_code != MORE_TO_COME:
            retry_after = response.headers.get("retry-after")
            raise error_of(response.status_code, response.content, retry_after)
        return response

    def _http_elsewhere(self) -> AsyncHttp:
        """For signed addresses, which may be another server's: without the key."""
        if self._elsewhere is None:
            unnamed = options(self.url, {}, self.timeout)
            self._elsewhere = AsyncHttp(transport=self._transport, **unnamed)
        return self._elsewhere


def _may_repeat(request: Request, error: UsinaError) -> bool:
    """A refusal for the moment, or a fault after which the same request does no harm."""
    if isinstance(error, ApiError):
        return error.status == 429 or (request.repeatable and error.status in _BAD_GATEWAYS)
    return request.repeatable or (isinstance(error, TransportError) and not error.request_sent)


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
