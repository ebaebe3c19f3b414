"""Connections to addresses that callers name: resolved once, every address checked, and made to
one that was checked.

The name stays what the certificate and the server's virtual hosts are asked for; only the way there
is decided here. So a name that resolves to something else a moment later changes nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from httpcore2 import (
    SOCKET_OPTION,
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
)

from usina.kernel.guard.reach import Reach, addresses_of

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Every address of a host, as texts; raises ``OSError`` where it has none."""

_RESOLVERS: Final = 32


class AddressRefused(Exception):
    """One of the addresses of the host is none that may be reached."""


class NameUnknown(Exception):
    """The host has no address."""


class Resolver:
    """The system's, on threads of its own: a name server that hangs stops nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="usina-resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedBackend(AsyncNetworkBackend):
    """Makes the connections of an HTTP client; :meth:`close` ends them, whatever became of it."""

    def __init__(self, reach: Reach, resolve: Resolve) -> None:
        self._reach = reach
        self._resolve = resolve
        self._inner = AnyIOBackend()
        self._opened: list[AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Raises :class:`AddressRefused`, :class:`NameUnknown`, or what a connection raises."""
        try:
            addresses = addresses_of(await self._resolve(host, port))
        except (OSError, UnicodeError, ValueError) as error:
            raise NameUnknown(host) from error
        if not addresses:
            raise NameUnknown(host)
        if not all(self._reach.allows(address, port) for address in addresses):
            raise AddressRefused(host)
        opened = await self._first([str(address) for address in addresses], port)
        self._opened.append(opened)
        return opened

    async def _first(self, addresses: Sequence[str], port: int) -> AsyncNetworkStream:
        """A connection to the first that takes one."""
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port)
            except (ConnectError, ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port)

    async def close(self) -> None:
        """A handshake that is broken off leaves its connection open, so it is ended here."""
        while self._opened:
            await self._opened.pop().aclose()
