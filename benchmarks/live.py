"""What it costs to tell many: each live channel alone on one API process, against a peer.

Ours: an event is committed to the log by another process, heard of over Redis, read once, and sent
to every follower: 2 000 over SSE, 2 000 over WebSocket, 500 over gRPC, five events a second. The
peer: sse-starlette alone, which is handed the event in its own process and sends it. Clients are in
processes of their own; processor time and memory are the server's. All in one run.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil
import uvloop
from tests.port import free_port

from benchmarks.many_machines import DATABASE, Platform, platform
from benchmarks.rig import module, rig
from usina.ground import distributed_ground
from usina.kernel.events.log import NewEvent, append
from usina.kernel.tenancy.gate import Gate
from usina.settings import Settings

MICROSECONDS_MOST: Final = 50.0
KIB_MOST: Final = 60.0
READS_MOST: Final = 1.2
_RATE: Final = 5.0
_MEANWHILE_SECONDS: Final = 1.0
_EVENT: Final = "job.progress"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one channel: processor time by message, memory by connection, and how late it came."""

    name: str
    followers: int
    missing: int
    microseconds: float
    kib: float
    p50_ms: float
    p99_ms: float
    reads: float | None = None

    def __str__(self) -> str:
        reads = "" if self.reads is None else f", {self.reads:.2f} reads by event"
        return (
            f"{self.name}: {self.followers} followers, {self.microseconds:.1f} us by message,"
            f" {self.kib:.1f} KiB by connection, {self.p50_ms:.0f} ms p50, {self.p99_ms:.0f} ms"
            f" p99, {self.missing} missing{reads}"
        )


def _measure(
    name: str,
    server: psutil.Process,
    load: tuple[str, str, str],
    followers: int,
    events: int,
    tell: Callable[[int], None],
) -> Figures:
    """``tell`` makes so many events, at the rate; ``load`` is channel, address and key."""
    before = _memory(server)
    command = [*module("live_load"), *load, str(followers), str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout is not None
        assert clients.stdout.readline() == "open\n", "not all could follow"
        time.sleep(_MEANWHILE_SECONDS)
        kib = (_memory(server) - before) / followers / 1024
        began = _processor_seconds(server)
        tell(events)
        found = json.loads(clients.stdout.readline())
        spent = _processor_seconds(server) - began
    sent = followers * events
    late = found["p50"] * 1000, found["p99"] * 1000
    return Figures(name, followers, sent - found["seen"], spent / sent * 1e6, kib, *late)


def _memory(process: psutil.Process) -> int:
    return process.memory_info().rss


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


class _Writer:
    """Another process of the platform, which commits events and tells the API over Redis."""

    def __init__(self, running: Platform) -> None:
        os.environ.update(running.environment)
        self._settings = Settings(_env_file=None)
        self._key = running.api_key
        self._job_id: str = uvloop.run(_waiting_job(running))["id"]

    def __call__(self, events: int) -> None:
        uvloop.run(self._tell(events))

    async def _tell(self, events: int) -> None:
        async with AsyncExitStack() as parts:
            ground = await distributed_ground(self._settings, parts)
            caller = await Gate(ground.database).by_key(self._key)
            assert caller is not None
            for _ in range(events):
                data = {"progress": 0.5, "stage": "meshing", "made_at": time.time()}
                new = [NewEvent(caller.organization_id, self._job_id, None, _EVENT, data)]
                await ground.database.write(
                    lambda tx, new=new: append(tx, new, ground.bus.announce)
                )
                await asyncio.sleep(1 / _RATE)


async def _waiting_job(running: Platform) -> Any:
    """A job that nobody runs."""
    async with running.connection() as connection:
        _, job = await connection.request("POST", "/api/v1/jobs", {"model": "echo-v1"})
        return job


@contextmanager
def _peer() -> Iterator[tuple[psutil.Process, str, Callable[[int], None]]]:
    with subprocess.Popen(
        module("peer_sse"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        lines = process.stdin

        def tell(events: int) -> None:
            for _ in range(events):
                data = {"device_id": "camera-1", "status": "ON", "made_at": time.time()}
                shown = {
                    "id": "x" * 16,
                    "job_id": None,
                    "seq": None,
                    "type": _EVENT,
                    "at": "x" * 27,
                }
                lines.write(json.dumps(shown | {"data": data}, separators=(",", ":")) + "\n")
                lines.flush()
                time.sleep(1 / _RATE)

        try:
            yield psutil.Process(process.pid), address, tell
        finally:
            process.stdin.close()
            process.wait(20)


@contextmanager
def _api(running: Platform) -> Iterator[tuple[psutil.Process, str, str]]:
    """A fresh API process of the platform; its addresses for HTTP and gRPC."""
    port, grpc_port = free_port(), free_port()
    command = [sys.executable, "-m", "usina.faces.cli.main", "api"]
    command += ["--port", str(port), "--grpc-port", str(grpc_port)]
    with subprocess.Popen(
        command,
        env=os.environ | running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:
            yield psutil.Process(process.pid), f"127.0.0.1:{port}", f"127.0.0.1:{grpc_port}"
        finally:
            process.terminate()
            process.wait(20)


def _reads(address: str) -> float:
    """How often the log was read for its followers so far."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        [found] = re.findall(r"^usina_log_reads_total (\S+)", answer.read().decode(), re.MULTILINE)
    return float(found)


def _ours(running: Platform, channel: str, followers: int, events: int) -> Figures:
    write, reads = _Writer(running), 0.0
    with _api(running) as (server, http, grpc):

        def tell(number: int) -> None:
            nonlocal reads
            before = _reads(http)
            write(number)
            reads = (_reads(http) - before) / number

        load = (channel, grpc if channel == "grpc" else http, running.api_key)
        found = _measure(channel, server, load, followers, events, tell)
        return replace(found, reads=reads)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=2000, help="over gRPC a quarter of them")
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--channels", nargs="*", default=["sse", "websocket", "grpc"])
    options = parser.parse_args()
    found: list[Figures] = []
    with (
        tempfile.TemporaryDirectory() as servers,
        tempfile.TemporaryDirectory() as folder,
        rig([DATABASE], Path(servers)) as there,
        platform(there, Path(folder)) as running,
    ):
        for channel in options.channels:
            followers = options.followers // (4 if channel == "grpc" else 1)
            found.append(_ours(running, channel, followers, options.events))
            print(found[-1], flush=True)
    with _peer() as (server, address, tell):
        load = ("sse", address, "none")
        peer = _measure("sse-starlette", server, load, options.followers, options.events, tell)
    print(peer, flush=True)
    return _verdict(found, peer)


def _verdict(found: Sequence[Figures], peer: Figures) -> int:
    missed = False
    for ours in found:
        ratio, memory = ours.microseconds / peer.microseconds, ours.kib / peer.kib
        print(f"{ours.name}: {ratio:.2f} times the peer's time, {memory:.2f} times its memory")
        missed |= bool(ours.missing) or (ours.reads or 0) > READS_MOST
        missed |= ours.microseconds > MICROSECONDS_MOST or ours.kib > KIB_MOST
    print(
        f"aims: none missing, {MICROSECONDS_MOST:g} us, {KIB_MOST:g} KiB, a read by event:"
        f" {'missed' if missed else 'met'}"
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
