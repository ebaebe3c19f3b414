"""Followers for the live benchmark: many connections of one channel in a process of their own.

``python -m benchmarks.live_load CHANNEL ADDRESS KEY COUNT EVENTS`` prints ``open`` when all follow,
and a JSON line once each has seen so many events: how many came in all, and the latest of them in
seconds since they were made, by the moment that stands in the event.
"""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import grpc.aio
import uvloop

from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb

MARK: Final = b"made_at"
_AT_ONCE: Final = 100


class Count:
    """What came, over all connections."""

    def __init__(self, count: int, events: int) -> None:
        self.events = events
        self.waiting = count
        self.seen = 0
        self.late: list[float] = []
        self.done = asyncio.Event()

    def take(self, data: bytes) -> int:
        """How many events stand in these bytes."""
        found = data.count(MARK)
        self.seen += found
        if found:
            made = data.rpartition(MARK)[2][2:20]
            self.late.append(time.time() - float(made.split(b"}")[0].split(b",")[0]))
        return found

    def finish(self) -> None:
        self.waiting -= 1
        if not self.waiting:
            self.done.set()


async def _raw(address: str, head: str, count: Count) -> Callable[[], Awaitable[None]]:
    """A connection that speaks HTTP by hand, and counts what comes."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{head}Host: {address}\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.split()[1] in (b"200", b"101"), answer

    async def follow() -> None:
        left = count.events
        while left > 0:
            data = await reader.read(65_536)
            assert data, "the connection was lost"
            left -= count.take(data)
        assert left == 0, "an event came twice"
        count.finish()
        await count.done.wait()
        writer.close()

    return follow


async def _sse(address: str, key: str, count: Count) -> Callable[[], Awaitable[None]]:
    head = f"GET /api/v1/events HTTP/1.1\r\nx-api-key: {key}\r\nAccept: text/event-stream\r\n"
    return await _raw(address, head, count)


async def _websocket(address: str, key: str, count: Count) -> Callable[[], Awaitable[None]]:
    nonce = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET /api/v1/ws HTTP/1.1\r\nx-api-key: {key}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n"
    )
    return await _raw(address, head, count)


class _Grpc:
    """Fifty streams a channel, each channel a connection of its own."""

    def __init__(self) -> None:
        self._channels: list[grpc.aio.Channel] = []
        self._streams = 0

    async def __call__(self, address: str, key: str, count: Count) -> Callable[[], Awaitable[None]]:
        if self._streams % 50 == 0:
            options = [("grpc.use_local_subchannel_pool", 1)]
            self._channels.append(grpc.aio.insecure_channel(address, options))
        self._streams += 1
        watch = self._channels[-1].unary_stream("/usina.v1.Jobs/Watch", None, None)
        sampled = self._streams % 50 == 1
        call = watch(pb.WatchRequest().SerializeToString(), metadata=(("x-api-key", key),))
        await call.wait_for_connection()

        async def follow() -> None:
            left = count.events
            async for message in call:
                left -= MARK in message
                count.seen += MARK in message
                if sampled:
                    made = pb.Event.FromString(message).data.fields["made_at"].number_value
                    count.late.append(time.time() - made)
                if left == 0:
                    break
            count.finish()
            await count.done.wait()
            call.cancel()

        return follow


async def main(channel: str, address: str, key: str, number: int, events: int) -> None:
    openers = {"sse": _sse, "websocket": _websocket, "grpc": _Grpc()}
    count, turn = Count(number, events), asyncio.Semaphore(_AT_ONCE)

    async def opened() -> Callable[[], Awaitable[None]]:
        async with turn:
            return await openers[channel](address, key, count)

    followers = await asyncio.gather(*(opened() for _ in range(number)))
    print("open", flush=True)
    await asyncio.gather(*(follow() for follow in followers))
    late = sorted(count.late) or [0.0]
    middle, latest = late[len(late) // 2], late[int(len(late) * 0.99)]
    print(json.dumps({"seen": count.seen, "p50": middle, "p99": latest}), flush=True)


if __name__ == "__main__":
    _, channel, address, key, number, events = sys.argv
    uvloop.run(main(channel, address, key, int(number), int(events)))
