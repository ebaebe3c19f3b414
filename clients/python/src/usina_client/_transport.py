"""The only module that knows the HTTP library: everybody else imports its names from here."""

import ipaddress
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import IO, Final, TypedDict, cast
from urllib.parse import urlsplit

from httpx2 import (
    AsyncBaseTransport,
    BaseTransport,
    ConnectError,
    ConnectTimeout,
    EventSource,
    PoolTimeout,
    ReadError,
    Response,
    ServerSentEvent,
    Timeout,
    TimeoutException,
)
from httpx2 import AsyncClient as AsyncHttp
from httpx2 import Client as Http
from httpx2 import Request as HttpRequest
from httpx2 import TransportError as Lost

from usina_client._error import TransportError, TransportTimeoutError
from usina_client._model import (
    Json,
)
from usina_client._request import Request
from usina_client._upload import Reader

__all__ = [
    "AsyncBaseTransport",
    "AsyncHttp",
    "BaseTransport",
    "EventSource",
    "Http",
    "HttpRequest",
    "Lost",
    "ReadError",
    "Response",
    "ServerSentEvent",
    "arguments",
    "options",
    "typed",
]

CONNECT_SECONDS: Final = 10.0


class Options(TypedDict):
    base_url: str
    headers: dict[str, str]
    timeout: Timeout
    trust_env: bool


class Arguments(TypedDict):
    method: str
    url: str
    params: list[tuple[str, str | int | float | bool | None]]
    headers: Mapping[str, str] | None
    timeout: Timeout
    json: Json
    data: Mapping[str, str] | None
    files: Sequence[tuple[str, tuple[str, IO[bytes], str | None]]] | None


def credential(api_key: str | None, token: str | None) -> dict[str, str]:
    """The header that says who asks; a token is the one that counts."""
    if token:
        return {"Authorization": f"Bearer {token}"}
    return {"x-api-key": api_key} if api_key else {}


def options(url: str, who: Mapping[str, str], silence_seconds: float) -> Options:
    """How a connection pool to a platform is set up; proxies are not asked for this machine."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            f"{url!r} is not the address of a platform; it looks like http://host:8000"
        )
    headers = {"User-Agent": f"usina-client/{version('usina-client')}", **who}
    return Options(
        base_url=url.rstrip("/"),
        headers=headers,
        timeout=_timeout(silence_seconds),
        trust_env=not _is_this_machine(parts.hostname),
    )


def arguments(request: Request, silence_seconds: float, readers: Sequence[Reader]) -> Arguments:
    """A request as the HTTP library takes it; `readers` are those of its parts, in order."""
    files = [
        (part.field, (part.upload.name, cast("IO[bytes]", reader), part.upload.media_type))
        for part, reader in zip(request.parts, readers, strict=True)
    ]
    return Arguments(
        method=request.method,
        url=request.path,
        params=list(request.query),
        headers=request.headers,
        timeout=_timeout(request.silence_seconds or silence_seconds),
        json=request.json,
        data=request.fields,
        files=files or None,
    )


def typed(fault: Lost, url: str) -> TransportError:
    """The client's own error for one of the HTTP library's."""
    reason = str(fault) or type(fault).__name__
    sent = not isinstance(fault, ConnectError | ConnectTimeout | PoolTimeout)
    if isinstance(fault, TimeoutException):
        return TransportTimeoutError(f"{url} stayed silent for too long.", request_sent=sent)
    if not sent:
        return TransportError(f"{url} cannot be reached: {reason}.", request_sent=False)
    return TransportError(f"The connection to {url} broke: {reason}.")


def _timeout(silence_seconds: float) -> Timeout:
    return Timeout(silence_seconds, connect=min(CONNECT_SECONDS, silence_seconds))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
