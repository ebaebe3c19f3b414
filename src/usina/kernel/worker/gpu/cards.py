"""The GPUs that a worker lends: which are well, what they hold, and when they are free again."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog

from usina.kernel.runners.gpu_failure import CARD_FAILED, CARD_LOST
from usina.kernel.runners.outcome import Failure
from usina.kernel.worker.gpu import driver
from usina.kernel.worker.gpu.driver import Card, DriverAway
from usina.kernel.worker.gpu.health import Health
from usina.kernel.worker.gpu.kernel_log import KernelLog

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_SLACK_BYTES: Final = 256 * 1024**2
"""What the driver itself may hold more of after a program than before."""

_FREE_SECONDS: Final = 20.0
_LOOK_AGAIN_SECONDS: Final = 0.2
_FIRST_SAMPLE_SECONDS: Final = 0.1
_SAMPLE_SECONDS: Final = 1.0
_FAILURES: Final = 2
_PART: Final = "MIG-"
"""Parts of a GPU are not in the driver's list."""

UNKNOWN_BYTES: Final = 1 << 62
"""The memory of a GPU of which nobody says how much it has: a job may try."""


@dataclass(slots=True)
class Lent:
    """One GPU as the worker knows it; ``idle_bytes`` is what it held before any job."""

    id: str
    name: str = ""
    memory_bytes: int | None = None
    used_bytes: int | None = None
    idle_bytes: int = 0
    reason: str | None = None
    """Why it is out of service, null while it is in."""

    uuid: str = ""
    """The driver's id of it, empty until it has told it."""

    failures: int = 0
    clean: bool = True
    """It was seen free since the last program on it."""

    @property
    def size(self) -> int:
        return UNKNOWN_BYTES if self.memory_bytes is None else self.memory_bytes


@dataclass(slots=True)
class Peak:
    """The most memory that was seen of a job's programs on its GPUs, null before any was."""

    bytes: int | None = None


class Cards:
    """``ids`` are as ``CUDA_VISIBLE_DEVICES`` takes them. GPUs that the driver's tool does not know
    by these, or a machine without the tool, are lent unseen. ``changed`` is told when one leaves
    service or comes back."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        self.changed: Callable[[], None] = lambda: None
        self._cards = {id_: Lent(id_) for id_ in ids}
        self._log: KernelLog | None = None
        self._reports: dict[str, Health] = {}
        self._xids: dict[str, str | None] = {}

    async def begin(self, *, since_boot: bool = False) -> None:
        """The first look: what they are, and hold before any job. Of the kernel's log it counts
        what comes from now on, or all of it."""
        if self._seen:
            self._log = KernelLog(since_boot=since_boot)
        await self.examine()
        for card in self._cards.values():
            card.idle_bytes = card.used_bytes or 0

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    @property
    def log_refused(self) -> str | None:
        """Why Xid errors are not seen here."""
        return self._log.refused if self._log is not None else None

    @property
    def _seen(self) -> bool:
        return bool(self._cards) and driver.installed()

    def well(self, ids: Iterable[str]) -> list[str]:
        """Those that may be lent, the smallest first."""
        fit = [self._cards[id_] for id_ in ids if self._cards[id_].reason is None]
        return [card.id for card in sorted(fit, key=lambda card: card.size)]

    def size(self, id_: str) -> int:
        """Its memory in bytes, `UNKNOWN_BYTES` where nobody says."""
        return self._cards[id_].size

    def told(self) -> list[dict[str, Any]]:
        """What operators see of each."""
        kept = ("id", "name", "memory_bytes", "used_bytes", "reason")
        every = (asdict(card) for card in self._cards.values())
        return [{name: card[name] for name in kept} for card in every]

    async def examine(self) -> None:
        """As `look`, with the driver's long report and what the kernel's log says since. Of both
        the driver has the last word, where it has one."""
        if self._log is not None:
            for xid in self._log.news():
                self._xids[xid.place] = xid.fault
        if self._seen:
            with suppress(DriverAway):  # which the look tells of each card
                for report in await driver.health():
                    self._reports[report.id] = report
                    if report.sound:
                        self._xids.pop(report.place, None)
        await self.look()

    async def look(self) -> None:
        """Asks the driver: a GPU that is ill is put out of service, one that is well again in."""
        if not self._seen:
            return
        try:
            found = await driver.cards()
        except DriverAway as away:
            for card in self._cards.values():
                self._put_out(card, self._illness(card) or str(away))
            return
        for id_, card in self._cards.items():
            self._learn(card, _named(found.shown, id_), found.unreached)

    def _learn(self, card: Lent, seen: Card | None, unreached: str | None) -> None:
        if seen is None:
            gone = "the driver shows it no longer" if card.memory_bytes is not None else None
            missing = None if card.id.startswith(_PART) else unreached
            if (fault := self._illness(card) or missing or gone) is not None:
                self._put_out(card, fault)
            return
        card.uuid, card.name, card.used_bytes = seen.id, seen.name or card.name, seen.used_bytes
        card.memory_bytes = seen.memory_bytes or card.memory_bytes
        if (fault := self._illness(card) or seen.fault) is not None:
            self._put_out(card, fault)
        elif card.reason is not None and self._is_free(card):
            _log.info("GPU is back in service", gpu=card.id)
            card.reason, card.failures, card.clean = None, 0, True
            self.changed()

    def _illness(self, card: Lent) -> str | None:
        """What of its health forbids to use it, though it may answer."""
        report = self._reports.get(card.uuid)
        return None if report is None else report.fault or self._xids.get(report.place)

    def _put_out(self, card: Lent, reason: str) -> None:
        if card.reason is None:
            _log.error("GPU is out of service", gpu=card.id, reason=reason)
            card.reason = reason
            self.changed()
        card.reason = reason

    @staticmethod
    def _is_free(card: Lent) -> bool:
        return card.used_bytes is None or card.used_bytes <= card.idle_bytes + _SLACK_BYTES

    async def freed(self, ids: Sequence[str]) -> str | None:
        """Waits until nothing of an earlier program is left on them; else they are put out of
        service, and the answer says why."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _FREE_SECONDS
        while left := [id_ for id_ in ids if not self._cards[id_].clean]:
            await self.look()
            for card in (self._cards[id_] for id_ in left):
                card.clean = self._is_free(card)
                if not card.clean and loop.time() > until:
                    self._put_out(card, "its memory did not come back after its last program")
                if card.reason is not None:
                    return f"The GPU is out of service: {card.reason}."
            if not all(self._cards[id_].clean for id_ in left):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return None

    def used(self, ids: Collection[str]) -> None:
        """A program begins on them."""
        for id_ in ids:
            self._cards[id_].clean = False

    def note(self, ids: Collection[str], failure: Failure | None) -> None:
        """How a job on them ended: one that can not begin twice in a row, or is lost, is ill."""
        for id_ in ids:
            card = self._cards[id_]
            if failure is None:
                card.failures = 0
            elif failure.reason == CARD_FAILED:
                card.failures += 1
                if card.failures >= _FAILURES:
                    self._put_out(card, f"CUDA could not begin on it {card.failures} times")
            elif failure.reason == CARD_LOST:
                self._put_out(card, "a program on it lost it")

    @asynccontextmanager
    async def watched(
        self, ids: Sequence[str], pids: Callable[[], Collection[int]]
    ) -> AsyncGenerator[Peak]:
        """Looks at the memory that the job holds on them until the context ends: soon and often,
        then once a second."""
        peak = Peak()
        seen = [id_ for id_ in ids if self._cards[id_].memory_bytes is not None]
        if not seen:
            yield peak
            return
        task = asyncio.create_task(self._sample_for_ever(seen, pids, peak))
        try:
            yield peak
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sample_for_ever(
        self, ids: Sequence[str], pids: Callable[[], Collection[int]], peak: Peak
    ) -> None:
        pause = _FIRST_SAMPLE_SECONDS
        while True:
            try:
                now = await self._held(ids, pids)
            except DriverAway:
                now = None
            if now is not None:
                peak.bytes = max(peak.bytes or 0, now)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _SAMPLE_SECONDS)

    async def _held(self, ids: Sequence[str], pids: Callable[[], Collection[int]]) -> int | None:
        """By the job's own processes, where the driver names them; else what the GPUs, which it
        has alone, hold more than before any job."""
        own = await asyncio.to_thread(pids)
        theirs = [use.bytes for use in await driver.usages() if use.pid in own]
        told = [each for each in theirs if each is not None]
        if told and len(told) == len(theirs):
            return sum(told)
        found = await driver.cards()
        cards = [(self._cards[id_], _named(found.shown, id_)) for id_ in ids]
        return sum(
            max(0, seen.used_bytes - card.idle_bytes)
            for card, seen in cards
            if seen is not None and seen.used_bytes is not None
        )


def _named(found: Sequence[Card], id_: str) -> Card | None:
    """By its index, its UUID, or as much of that as is told, as the driver takes it."""
    by_index: Mapping[str, Card] = {card.index: card for card in found}
    if id_ in by_index:
        return by_index[id_]
    matching = [card for card in found if id_ and card.id.startswith(id_)]
    return matching[0] if len(matching) == 1 else None
