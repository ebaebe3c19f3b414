"""Chooses what goes wrong next, and how much has gone wrong already."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Final

from pydantic_core import to_json

from tests.torture.rig.cluster import Cluster
from tests.torture.rig.fault import KINDS, LONGEST_STOP_SECONDS, Fault, Hands
from tests.torture.rig.member import Death, Member
from tests.torture.rig.plan import Plan

FAILPOINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "api": (
        *("relay.before_publish", "celery.before_publish", "submit.after_commit"),
        *("relay.after_publish", "celery.after_publish", "submit.after_insert"),
        *("submit.before_insert", "cancel.after_commit", "reopen.after_commit"),
        *("upload.after_put", "upload.before_commit"),
    ),
    "worker": (
        *("session.after_lock", "claim.after_commit", "finish.in_transaction"),
        *("cut.in_transaction", "rescue.after_commit", "finish.before_transaction"),
        *("handback.in_transaction", "claim.in_transaction", "finish.after_commit"),
        *("run.before_spawn", "run.after_progress", "heartbeat.in_transaction"),
        *("checkpoint.after_put", "checkpoint.in_transaction", "collect.after_put"),
        *("relay.before_publish", "relay.after_publish", "rescue.in_transaction"),
    ),
    "beat": ("rescue.after_commit", "cut.in_transaction", "rescue.in_transaction"),
}
"""Of each kind of process, the lines that one of its lives may end at."""

_ARMED_SHARE: Final = 0.5
_MOST_VISITS: Final = 8


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault that was carried out; the time is monotonic."""

    at: float
    kind: str
    target: str


@dataclass
class Nemesis:
    plan: Plan
    happened: list[Happened] = field(default_factory=list[Happened])
    deaths: list[Death] = field(default_factory=list[Death])
    active: bool = False
    hands: Hands | None = None

    def __post_init__(self) -> None:
        self._random = self.plan.random("nemesis")
        self._arming = self.plan.random("failpoints")
        self._rota = {role: cycle(names) for role, names in FAILPOINTS.items()}
        self._log = (self.plan.folder / "faults.ndjson").open("ab", buffering=0)
        self._deaths = (self.plan.folder / "deaths.ndjson").open("ab", buffering=0)

    @property
    def counts(self) -> Counter[str]:
        return Counter(happened.kind for happened in self.happened)

    def arm(self, member: Member) -> str:
        """Every other life is to end at a failpoint; the one after it is not, so that the process
        gets anywhere at all."""
        armed = self.active and not member.armed and self._arming.random() < _ARMED_SHARE
        if not armed or member.role not in self._rota:
            return ""
        return f"{next(self._rota[member.role])}:{self._arming.randint(1, _MOST_VISITS)}"

    def died(self, death: Death) -> None:
        self.deaths.append(death)
        self._deaths.write(to_json(asdict(death)) + b"\n")
        if death.cause.startswith("failpoint"):
            name = death.cause.removeprefix("failpoint ").partition(":")[0]
            self._note(f"failpoint {name}", death.member)

    async def rage(self, cluster: Cluster, progress: Callable[[], float]) -> None:
        """Keeps in step with the work: at half of it, half of the faults have happened."""
        self.hands = Hands(cluster, self._random)
        self.active = True
        deck = self._random.sample(list(KINDS), len(KINDS))
        while len(self.happened) < self.plan.kills:
            if len(self.happened) > self.plan.kills * progress():
                await asyncio.sleep(0.05)
                continue
            fault = self._next(deck)
            target = await fault(self.hands)
            if target is not None:
                self._note(fault.__name__.replace("_", " "), target)
            await asyncio.sleep(self._random.uniform(0, 0.1))

    def _next(self, deck: list[Fault]) -> Fault:
        """One of each kind first, so that a short run has many; then as often as it is told."""
        return deck.pop() if deck else self._random.choices(list(KINDS), [*KINDS.values()])[0]

    async def rest(self, cluster: Cluster) -> None:
        """No fault begins any more, and what was stopped or held goes on."""
        self.active = False
        if self.hands is not None and self.hands.healing:
            await asyncio.wait(self.hands.healing, timeout=LONGEST_STOP_SECONDS + 60)
        if cluster.proxy is not None:
            cluster.proxy.break_next(_no_fault, 0)
        cluster.clock.write_text("+0\n")
        for member in cluster.members:
            if member.armed:  # it might yet get there
                member.kill("TERM", signal.SIGTERM)
        await asyncio.sleep(1)
        await cluster.all_up()

    def close(self) -> None:
        self._log.close()
        self._deaths.close()

    def _note(self, kind: str, target: str) -> None:
        happened = Happened(time.monotonic(), kind, target)
        self.happened.append(happened)
        self._log.write(to_json(asdict(happened)) + b"\n")


def _no_fault(*_: object) -> None:
    raise AssertionError("the proxy was told to break nothing")
