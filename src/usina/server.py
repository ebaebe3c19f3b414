"""Serving over HTTP: the socket, the server's own signals, and an orderly end."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, MutableMapping, Sequence
from typing import Any, Final

import structlog
import uvicorn

from usina.kernel.activity import Activity
from usina.kernel.platform import Platform
from usina.kernel.readiness import Readiness

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_CLOSING_SECONDS: Final = 2
_MOST_MESSAGE_BYTES: Final = 64 * 1024
_PING_SECONDS: Final = 20.0
_TAKE_SECONDS: Final = 60
"""A client that takes nothing for so long is cut, whatever it was sent."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class PortInUse(Exception):
    """Somebody else listens there."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Its connections have both too. Without the first, an answer written in two parts waits 40 ms
    # for the client to acknowledge one: asyncio sees to it only where a socket names its protocol.
    # By the second the kernel ends one that nobody reads, with its buffers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TAKE_SECONDS * 1000)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} of {host} is in use. Give another --port, or 0 for a free one."
            ) from None
        raise PortInUse(f"Can not listen on {host}:{port}: {error.strerror}.") from None
    listener.listen(2048)
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


class Counted:
    """An ASGI app whose requests count as activity."""

    def __init__(self, app: AsgiApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._activity:
            await self._app(scope, receive, send)


class Server(uvicorn.Server):
    """uvicorn, with the signals left to us: TERM is an orderly end with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def make_server(app: AsgiApp, trusted_proxies: Sequence[str] = ()) -> Server:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        http="httptools",
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        ws="websockets-sansio",
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        loop="uvloop",
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )
    return Server(config)


async def serve(
    app: AsgiApp, listener: socket.socket, platform: Platform, stop: asyncio.Event
) -> None:
    """Serves until ``stop`` is set, and says ``ready`` and the address once it can work.

    Who waits for something then is answered with what there is.
    """
    server = make_server(app, platform.settings.trusted_proxies)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stop.wait())
    ready = asyncio.create_task(_until_ready(server, platform.readiness))
    await asyncio.wait([serving, stopped, ready], return_when=asyncio.FIRST_COMPLETED)
    if ready.done() and not stopped.done():
        gc.collect()
        gc.freeze()
        print(f"ready {url_of(listener)}", flush=True)  # noqa: T201  # the contract's one line
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    platform.bus.close()
    server.should_exit = True
    await serving
    stopped.cancel()


async def _until_ready(server: Server, readiness: Readiness) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    while not (found := await readiness.look())[0]:
        _log.warning("not ready yet", checks=found[1])
        await asyncio.sleep(0.2)


def on_stop_signals(stop: Callable[[], None]) -> None:
    """Calls ``stop`` on TERM and on Ctrl-C."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
