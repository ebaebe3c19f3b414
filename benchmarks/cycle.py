"""The full cycle of a small job, against huey on SQLite with ``fsync=True``, in pairs.

Ours: POST over HTTP, durable, run in a warm runner process, its report kept, its success durable
with its events, seen by a client that waits. The peer's: enqueue in process, durable, run by a
worker process with two threads polling every millisecond, result durable, seen by its caller.
Sixteen in flight on both sides for the throughput; one by one for the latency.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.embedded import Embedded, platform
from benchmarks.http_client import Connection

RATIO_LEAST: Final = 1.5
ONE_BY_ONE_MOST_MS: Final = 4.0
_FLIGHT: Final = 16


async def _cycles(server: Embedded, count: int, flight: int) -> tuple[float, list[float]]:
    """Seconds for all, and of each."""
    each: list[float] = []

    async def client(share: int) -> None:
        async with Connection(server.host, server.port, server.api_key) as connection:
            for _ in range(share):
                began = time.perf_counter()
                status, job = await connection.request("POST", "/api/v1/jobs", {"model": "echo-v1"})
                assert status == 202, job
                path = f"/api/v1/jobs/{job['id']}?wait_seconds=60"
                _, job = await connection.request("GET", path)
                assert job["status"] == "SUCCEEDED", job
                each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client(count // flight) for _ in range(flight)))
    return time.perf_counter() - began, each


def _peer_cycles(count: int, flight: int) -> float:
    from benchmarks.peer_huey import echo  # needs its database's name in the environment

    def client(share: int) -> None:
        for value in range(share):
            found = echo(value).get(blocking=True, backoff=1.0, max_delay=0.001, timeout=60)
            assert found == value

    threads = [threading.Thread(target=client, args=(count // flight,)) for _ in range(flight)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


@contextmanager
def _peer() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PEER_DATABASE"] = str(Path(folder) / "huey.db")
        consumer = Path(sys.executable).with_name("huey_consumer")
        options = ["-w", "2", "-k", "thread", "-d", "0.001", "-m", "0.001", "-b", "1.0", "-q", "-n"]
        with subprocess.Popen(
            [str(consumer), "benchmarks.peer_huey.huey", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield
            finally:
                process.terminate()
                process.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ratios: list[float] = []
    latencies: list[float] = []
    with platform() as server, _peer():
        uvloop.run(_cycles(server, 320, _FLIGHT))
        _peer_cycles(160, _FLIGHT)
        for number in range(options.rounds):
            ours, _ = uvloop.run(_cycles(server, options.jobs, _FLIGHT))
            theirs = _peer_cycles(options.jobs, _FLIGHT)
            _, each = uvloop.run(_cycles(server, 200, 1))
            ratios.append(theirs / ours)
            latencies.append(statistics.median(each) * 1000)
            print(
                f"round {number + 1}: {options.jobs / ours:.0f} jobs/s, "
                f"huey {options.jobs / theirs:.0f}, ratio {ratios[-1]:.2f}; "
                f"one by one {latencies[-1]:.2f} ms",
                flush=True,
            )
    ratio, latency = statistics.median(ratios), statistics.median(latencies)
    print(
        f"ratio {ratio:.2f} (aim {RATIO_LEAST}); one by one {latency:.2f} ms p50 "
        f"(aim {ONE_BY_ONE_MOST_MS:g})"
    )
    return int(ratio < RATIO_LEAST or latency > ONE_BY_ONE_MOST_MS)


if __name__ == "__main__":
    sys.exit(main())
