"""What can go wrong, one function each. A fault answers what it hit, or null where nothing fits.

Whatever a fault stops or holds goes on by itself a little later: ``Hands.later`` sees to that.
"""

import asyncio
import base64
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.storage import proxy
from tests.torture.rig.cluster import FAKETIME, Cluster
from tests.torture.rig.member import Member
from tests.torture.rig.plan import LEASE_SECONDS, LONGEST_STOP_SECONDS
from usina.kernel.dispatch.celery import WORK, make_celery


@dataclass
class Hands:
    """What faults are made with. ``held`` gathers, by fault, the attempts that a killed worker
    held."""

    cluster: Cluster
    random_: random.Random
    healing: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    held: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])

    def one(self, role: str) -> Member | None:
        """Some process of that role that is up."""
        up = [member for member in self.cluster.of(role) if member.is_up]
        return self.random_.choice(up) if up else None

    def later(self, seconds: float, act: Callable[[], Any]) -> None:
        async def heal() -> None:
            await asyncio.sleep(seconds)
            act()

        self.run(heal())

    def run(self, heals: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(heals)
        self.healing.add(task)
        task.add_done_callback(self.healing.discard)


Fault = Callable[[Hands], Awaitable[str | None]]


async def kill_worker(hands: Hands) -> str | None:
    member = hands.one("worker")
    if member is None:
        return None
    held = await hands.cluster.query(
        "SELECT id::text, attempt FROM jobs WHERE worker_id = $1 AND status = 'RUNNING'",
        member.word,
    )
    if not member.is_up:
        return None
    member.kill("kill worker")
    now = time.monotonic()
    hands.held.extend((now, row["id"], row["attempt"]) for row in held)
    return member.name


async def kill_all_of_a_worker(hands: Hands) -> str | None:
    """The worker, its launchers and its programs in one stroke, as a power cut would."""
    member = hands.one("worker")
    if member is None:
        return None
    below = descendants(member.pid)
    member.kill("kill all of a worker")
    for pid in below:
        send(pid, signal.SIGKILL)
    return member.name


async def kill_api(hands: Hands) -> str | None:
    return _kill(hands, "api")


async def kill_beat(hands: Hands) -> str | None:
    return _kill(hands, "beat")


async def kill_redis(hands: Hands) -> str | None:
    return _kill(hands, "redis")


async def kill_launcher(hands: Hands) -> str | None:
    return _kill_below(hands, 0, signal.SIGKILL)


async def kill_program(hands: Hands) -> str | None:
    return _kill_below(hands, 1, signal.SIGKILL)


async def stop_program(hands: Hands) -> str | None:
    pid = _below(hands, 1)
    if pid is None:
        return None
    send(pid, signal.SIGSTOP)
    hands.later(hands.random_.uniform(0.5, 4), lambda: send(pid, signal.SIGCONT))
    return str(pid)


async def stop_worker(hands: Hands) -> str | None:
    """Beyond its lease: it comes back as somebody whose jobs others have."""
    return _stop(hands, "worker", LEASE_SECONDS + 1, LONGEST_STOP_SECONDS)


async def stop_api(hands: Hands) -> str | None:
    return _stop(hands, "api", 0.5, 4)


async def stop_beat(hands: Hands) -> str | None:
    return _stop(hands, "beat", 1, LONGEST_STOP_SECONDS)


async def stop_redis(hands: Hands) -> str | None:
    return _stop(hands, "redis", 0.5, 5)


async def restart_postgres(hands: Hands) -> str | None:
    await hands.cluster.restart_postgres()
    return "immediate"


async def kill_backend(hands: Hands) -> str | None:
    """One backend dies by KILL: the server throws out everybody and recovers."""
    return await _on_backend(hands, lambda pid: send(pid, signal.SIGKILL))


async def cut_backend(hands: Hands) -> str | None:
    pids = await _backends(hands)
    chosen = hands.random_.sample(pids, min(len(pids), hands.random_.randint(1, 3)))
    for pid in chosen:
        await hands.cluster.query("SELECT pg_terminate_backend($1)", pid)
    return f"{len(chosen)} backends" if chosen else None


async def flush_redis(hands: Hands) -> str | None:
    return await hands.cluster.redis("FLUSHALL") or None


async def cut_redis(hands: Hands) -> str | None:
    kind = hands.random_.choice(["normal", "pubsub"])
    return kind if await hands.cluster.redis("CLIENT", "KILL", "TYPE", kind) else None


async def cut_line(hands: Hands) -> str | None:
    name = hands.random_.choice(sorted(hands.cluster.lines))
    hands.cluster.lines[name].cut()
    return name


async def hold_line(hands: Hands) -> str | None:
    """A partition beyond the lease."""
    name = hands.random_.choice(sorted(hands.cluster.lines))
    line = hands.cluster.lines[name]
    line.hold()

    def heal() -> None:
        line.flow()
        line.cut()

    hands.later(hands.random_.uniform(1, LONGEST_STOP_SECONDS), heal)
    return name


async def refuse_bytes(hands: Hands) -> str | None:
    fault = hands.random_.choice([(500, "InternalError"), (503, "SlowDown")])
    return _break_store(hands, proxy.error(*fault), hands.random_.randint(1, 6))


async def hang_bytes(hands: Hands) -> str | None:
    return _break_store(hands, proxy.hang, 1)


async def lose_answer_of_store(hands: Hands) -> str | None:
    return _break_store(hands, proxy.lost, hands.random_.randint(1, 3))


async def truncate_bytes(hands: Hands) -> str | None:
    return _break_store(hands, proxy.truncated, 1, "GET")


async def repeat_messages(hands: Hands) -> str | None:
    """The same Celery message five times over, and for queues that nothing lies in."""
    return await _push(hands, hands.random_.randint(2, 8), 0)


async def push_late_message(hands: Hands) -> str | None:
    """A message that has expired, one that is no message, and one of another task."""
    strange = base64.b64encode(os.urandom(16)).decode()
    await hands.cluster.redis("PUBLISH", "usina:nobody", strange)
    return await _push(hands, 1, 0.001)


async def jump_clock(hands: Hands) -> str | None:
    """One worker's clock goes an hour ahead, or back, or right again."""
    if not FAKETIME.exists():
        return None
    offset = hands.random_.choice(["+3600", "-3600", "+0"])
    hands.cluster.clock.write_text(f"{offset}\n")
    return offset


async def fill_disk(hands: Hands) -> str | None:
    """The small disk of one worker has no room for some seconds."""
    place = hands.cluster.small_disk
    if place is None:
        return None
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        for _ in range(64):
            file.write(bytes(1024**2))
            file.flush()

    def heal() -> None:
        with contextlib.suppress(OSError):
            ballast.unlink()

    hands.later(hands.random_.uniform(1, 4), heal)
    return str(place)


async def roll(hands: Hands) -> str | None:
    """Every process of a role is stopped by TERM and started again, one after the other."""
    role = hands.random_.choice(["api", "worker", "beat"])
    members = [member for member in hands.cluster.of(role) if member.is_up]

    async def one_by_one() -> None:
        for member in members:
            if member.is_up:
                lives = member.starts
                member.kill("TERM", signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await member.up_again(lives)

    if members:
        hands.run(one_by_one())
    return role if members else None


KINDS: Final[dict[Fault, int]] = {
    kill_worker: 14,
    kill_all_of_a_worker: 3,
    kill_launcher: 8,
    kill_program: 14,
    kill_api: 8,
    kill_beat: 4,
    kill_redis: 5,
    stop_worker: 5,
    stop_program: 4,
    stop_api: 3,
    stop_beat: 2,
    stop_redis: 2,
    restart_postgres: 3,
    kill_backend: 3,
    cut_backend: 7,
    flush_redis: 5,
    cut_redis: 5,
    cut_line: 5,
    hold_line: 3,
    refuse_bytes: 6,
    hang_bytes: 1,
    lose_answer_of_store: 4,
    truncate_bytes: 2,
    repeat_messages: 5,
    push_late_message: 4,
    jump_clock: 3,
    fill_disk: 2,
    roll: 1,
}
"""How often each comes, beside the others."""


def _kill(hands: Hands, role: str) -> str | None:
    member = hands.one(role)
    if member is None:
        return None
    member.kill(f"kill {role}")
    return member.name


def _stop(hands: Hands, role: str, least: float, most: float) -> str | None:
    member = hands.one(role)
    if member is None or sum(other.stopped for other in hands.cluster.of(role)) > 1:
        return None
    pid = member.pid
    member.stopped = True
    send(pid, signal.SIGSTOP)

    def go_on() -> None:
        send(pid, signal.SIGCONT)
        if member.pid == pid:
            member.stopped = False

    hands.later(hands.random_.uniform(least, most), go_on)
    return member.name


def _below(hands: Hands, depth: int) -> int | None:
    """A launcher (0) or a program (1) of some worker."""
    member = hands.one("worker")
    if member is None:
        return None
    found = children(member.pid)
    for _ in range(depth):
        found = [child for pid in found for child in children(pid)]
    return hands.random_.choice(found) if found else None


def _kill_below(hands: Hands, depth: int, number: signal.Signals) -> str | None:
    pid = _below(hands, depth)
    if pid is None:
        return None
    send(pid, number)
    return str(pid)


async def _backends(hands: Hands) -> list[int]:
    rows = await hands.cluster.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"
        " AND pid <> pg_backend_pid() ORDER BY pid",
        hands.cluster.database,
    )
    return [row["pid"] for row in rows]


async def _on_backend(hands: Hands, act: Callable[[int], None]) -> str | None:
    pids = await _backends(hands)
    if not pids:
        return None
    act(hands.random_.choice(pids))
    return "one backend"


def _break_store(
    hands: Hands, fault: proxy.Fault, times: int, method: str | None = None
) -> str | None:
    if hands.cluster.proxy is None:
        return None
    hands.cluster.proxy.break_next(fault, times, method)
    return f"{times} requests"


async def _push(hands: Hands, times: int, expires: float) -> str | None:
    redis = next(iter(hands.cluster.of("redis")))
    if not redis.is_up:
        return None
    queue = hands.random_.choice(["default", "gpu", "io"])

    [known] = await hands.cluster.query("SELECT value FROM meta WHERE key = 'platform_id'")

    def push() -> None:
        queues = ("default", "gpu", "io")
        app = make_celery(hands.cluster.redis_url, queues, known["value"])
        with contextlib.suppress(Exception):  # Redis may go while we speak
            for _ in range(times):
                app.send_task(WORK, args=[queue], queue=queue, expires=expires or None)
            if expires:
                app.send_task("usina.unknown", args=["x"], queue=queue)
        app.close()

    await asyncio.to_thread(push)
    return f"{times} to {queue}"


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Everybody below, nearest first."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found
