"""One at a time at a server, over all jobs and processes of this machine.

A Stable Diffusion server has one queue, and one progress and one interrupt for whoever is at its
head. So a job holds the server's turn while it paints: a Unix socket with an abstract name, which
the kernel gives to one process and takes back when that one ends, however it ends. Who waits is
connected to it, and wakes when it closes.
"""

import asyncio
import contextlib
import errno
import hashlib
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

_WAITING: Final = 512
_LOOK_EVERY_SECONDS: Final = 0.25


@asynccontextmanager
async def turn(url: str, between: Callable[[], None]) -> AsyncGenerator[None]:
    """Holds the turn of the server at ``url``. ``between`` is called while it waits, and may raise
    to give up."""
    name = await _name(url)
    while (held := _take(name)) is None:
        between()
        await _end_of_another(name, between)
    with held:
        yield


async def _name(url: str) -> bytes:
    """The same for every spelling of an address, where it can be looked up."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
    with contextlib.suppress(OSError):
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        host = min(str(address[0]) for *_, address in found)
    digest = hashlib.sha256(f"{host} {port}".encode()).hexdigest()
    return f"\0usina-stable-diffusion-{digest[:24]}".encode()


def _take(name: bytes) -> socket.socket | None:
    """The turn, or null while another has it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        held.bind(name)
        held.listen(_WAITING)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held


async def _end_of_another(name: bytes, between: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as waiting:
        try:
            waiting.connect(name)
        except OSError:  # it has ended just now, or too many wait
            await asyncio.sleep(_LOOK_EVERY_SECONDS / 10)
            return
        closed = asyncio.ensure_future(loop.sock_recv(waiting, 1))
        try:
            while not (await asyncio.wait({closed}, timeout=_LOOK_EVERY_SECONDS))[0]:
                between()
            with contextlib.suppress(OSError):
                closed.result()
        finally:
            closed.cancel()
