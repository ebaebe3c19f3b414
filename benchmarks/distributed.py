"""The full cycle of a small job over many processes, against Celery and queues on PostgreSQL.

Ours: POST over HTTP, durable in PostgreSQL with fsync, heard of over Redis, run in a warm runner
process by ``usina worker``, its report kept, its success durable with its events, seen by a client
that waits at ``usina api``. A peer: asked by one client process, run by one worker process of two
slots, its result seen by its caller; no HTTP, no validation, no leases, and with Celery nothing
that is synced to a disk. All in one run, in interleaved rounds: sixteen in flight for the
throughput, one by one for the latency. What a cycle costs in processor time, of all processes
together, tells the same on a busy machine.

Then how soon what was killed runs again: a runner, and a whole worker with another one free.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.killed import runner_killed, worker_killed
from benchmarks.many_machines import DATABASE, cycles, platform, worker
from benchmarks.peer import Peer
from benchmarks.peer_celery import CeleryPeer
from benchmarks.peer_dbos import DbosPeer
from benchmarks.peer_pgqueuer import PgqueuerPeer
from benchmarks.peer_procrastinate import ProcrastinatePeer
from benchmarks.processor import spent_ms
from benchmarks.rig import Rig, rig, running

RATIO_LEAST: Final = 2.0
ONE_BY_ONE_MOST_MS: Final = 5.0
ONE_BY_ONE_P99_MOST_MS: Final = 20.0
_FLIGHT: Final = 16
_PEERS: Final = (CeleryPeer, PgqueuerPeer, ProcrastinatePeer, DbosPeer)
_SYNCS: Final = 200
Cycles = Callable[[int, int], list[float]]


class Figures:
    """What was measured of one party, a number a round."""

    def __init__(self, processes: list[int]) -> None:
        self._processes = processes
        self.costs: list[float] = []
        self.rates: list[float] = []
        self.middles: list[float] = []
        self.latest: list[float] = []

    def measure(self, run: Cycles, jobs: int, singles: int) -> None:
        before, began = spent_ms(self._processes), time.perf_counter()
        done = len(run(jobs, _FLIGHT))
        self.rates.append(done / (time.perf_counter() - began))
        self.costs.append((spent_ms(self._processes) - before) / done)
        each = [seconds * 1000 for seconds in run(singles, 1)]
        self.middles.append(percentile(each, 0.5))
        self.latest.append(percentile(each, 0.99))


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _sync_ms(folder: Path) -> float:
    """What the disk takes for one ``fdatasync``: a limit of everything durable here."""
    taken: list[float] = []
    with (folder / "sync").open("wb") as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _start_peers(found: Rig, parts: ExitStack, peers: Sequence[Peer]) -> dict[str, Cycles]:
    started: dict[str, Cycles] = {}
    for peer in peers:
        asyncio.run(peer.prepare(found))
        parts.enter_context(running(peer.worker(found), peer.environment(found)))
        started[peer.name] = lambda count, flight, peer=peer: asyncio.run(
            peer.cycles(found, count, flight)
        )
    return started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=480)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--peers", nargs="*", default=[peer.name for peer in _PEERS])
    parser.add_argument("--folder", type=Path, help="where the servers keep their files")
    options = parser.parse_args()
    peers: list[Peer] = [peer() for peer in _PEERS if peer.name in options.peers]
    databases = [DATABASE, *(peer.database for peer in peers if peer.database)]
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as servers,
        tempfile.TemporaryDirectory() as folder,
        rig(databases, Path(servers)) as found,
        platform(found, Path(folder)) as ours,
        ExitStack() as parts,
    ):
        parties: dict[str, Cycles] = {
            "usina": lambda count, flight: uvloop.run(cycles(ours, count, flight))
        }
        with worker(ours):
            parties |= _start_peers(found, parts, peers)
            figures = {name: Figures(found.processes) for name in parties}
            _rounds(parties, figures, options.rounds, options.jobs, options.singles)
        print(f"fdatasync {_sync_ms(Path(servers)):.2f} ms p50")
        parts.close()
        if options.kills:
            _tell_kills("runner", runner_killed(ours, options.kills))
            _tell_kills("worker", worker_killed(ours, options.kills))
    return _verdict(figures)


def _rounds(
    parties: dict[str, Cycles], figures: dict[str, Figures], rounds: int, jobs: int, singles: int
) -> None:
    for run in parties.values():
        run(10 * _FLIGHT, _FLIGHT)
    for number in range(rounds):
        for name, run in parties.items():
            figures[name].measure(run, jobs, singles)
        told = (
            f"{name} {f.rates[-1]:.0f}/s {f.costs[-1]:.1f} ms of processor {f.middles[-1]:.1f} ms"
            for name, f in figures.items()
        )
        print(f"round {number + 1}: {', '.join(told)}", flush=True)


def _tell_kills(what: str, seconds: Sequence[float]) -> None:
    middle, latest = statistics.median(seconds) * 1000, percentile(seconds, 0.99) * 1000
    told = f"its job runs again after {middle:.0f} ms median, {latest:.0f} ms p99"
    print(f"killed {what}: {told}, {len(seconds)} kills", flush=True)


def _verdict(figures: dict[str, Figures]) -> int:
    ours = figures["usina"]
    middle, latest = statistics.median(ours.middles), statistics.median(ours.latest)
    missed = middle > ONE_BY_ONE_MOST_MS or latest > ONE_BY_ONE_P99_MOST_MS
    for name, theirs in figures.items():
        ratio = statistics.median(a / b for a, b in zip(ours.rates, theirs.rates, strict=True))
        faster = statistics.median(b / a for a, b in zip(ours.middles, theirs.middles, strict=True))
        cheaper = statistics.median(b / a for a, b in zip(ours.costs, theirs.costs, strict=True))
        print(
            f"{name}: {statistics.median(theirs.rates):.0f} cycles/s,"
            f" {statistics.median(theirs.middles):.2f} ms p50,"
            f" {statistics.median(theirs.latest):.2f} ms p99,"
            f" {statistics.median(theirs.costs):.2f} ms of processor; usina {ratio:.2f} times the"
            f" rate, {faster:.2f} times as soon, {cheaper:.2f} times as cheap"
        )
        missed = missed or (name == "celery" and ratio < RATIO_LEAST)
    print(
        f"aims: {RATIO_LEAST:g} times celery, {ONE_BY_ONE_MOST_MS:g} ms p50,"
        f" {ONE_BY_ONE_P99_MOST_MS:g} ms p99: {'missed' if missed else 'met'}"
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
