# Generated from ../_async/stream.py by generate_sync.py: change that file instead.
"""Server-sent events across lost connections."""

from collections.abc import Generator
from time import monotonic, sleep
from typing import Final

from usina_client._error import ProtocolError, RateLimitedError, TransportError, UnavailableError
from usina_client._request import Query, Request
from usina_client._transport import EventSource, ServerSentEvent

from .connection import Connection, pause

MEDIA_TYPE: Final = "text/event-stream"

SILENCE_SECONDS: Final = 45.0
"""Three of the comments that keep a stream alive."""

PATIENCE_SECONDS: Final = 60.0
"""How long a platform that was there a moment ago may be away."""


def listen(
    connection: Connection, path: str, query: Query, last_id: str | None
) -> Generator[ServerSentEvent | None]:
    """The messages after `last_id`; null each time the platform closes the stream in order.

    Goes on until the platform says that nothing will follow (204) or the caller stops reading.
    """
    met = False
    away_since: float | None = None
    fruitless = 0
    while True:
        try:
            with connection.open(_request(path, query, last_id)) as response:
                met, away_since = True, None
                fruitless += 1
                if response.status_code == 204:
                    return
                if not response.headers.get("content-type", "").startswith(MEDIA_TYPE):
                    raise ProtocolError(f"{connection.url}{path} is not a stream of events.")
                for message in EventSource(response, max_event_size=None):
                    fruitless = 0
                    last_id = message.id or last_id
                    yield message
            yield None
        except (TransportError, UnavailableError, RateLimitedError):
            away_since = away_since or monotonic()
            if not met or monotonic() - away_since > PATIENCE_SECONDS:
                raise
            fruitless += 1
        if fruitless:
            sleep(pause(fruitless))


def _request(path: str, query: Query, last_id: str | None) -> Request:
    headers = {"Accept": MEDIA_TYPE}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    return Request(
        method="GET", path=path, query=query, headers=headers, silence_seconds=SILENCE_SECONDS
    )
