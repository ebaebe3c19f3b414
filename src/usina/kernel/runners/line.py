"""Warm programs that wait in line for their next job, how many, how large and for how long."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.program import Program

_SLACK_BYTES: Final = 64 * 1024**2
"""Growth that says nothing: allocators keep what one job needed for the next."""


@dataclass(frozen=True, slots=True)
class Key:
    """Jobs that may share a warm program; no organization means any. The environment of a model is
    the same for as long as the platform runs, so its version stands for it."""

    model: str
    version: str
    organization_id: str | None
    cores: int
    devices: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Warm:
    """A warm program; ``home`` is its folder between jobs, ``first_bytes`` the memory that it held
    after its first job."""

    key: Key
    program: Program
    home: Path
    jobs: int = 0
    first_bytes: int = 0
    leave: asyncio.TimerHandle | None = None

    def worked(self) -> None:
        """It has ended a job."""
        self.jobs += 1
        self.first_bytes = self.first_bytes or self.program.resident_bytes

    def worn(self, limits: RunnerLimits) -> bool:
        """Whether a fresh one should take its place: after many jobs, or when it has grown."""
        most = self.first_bytes * limits.warm_growth + _SLACK_BYTES
        return self.jobs >= limits.warm_jobs or self.program.resident_bytes > most


class Line:
    """The line; ``retire`` ends a program that leaves it for good.

    Of the models in ``held`` the last program of a key stays, however long nobody needs it.
    """

    def __init__(
        self, limits: RunnerLimits, retire: Callable[[Warm], None], held: Collection[str] = ()
    ) -> None:
        self._limits = limits
        self._retire = retire
        self._held = frozenset(held)
        self._waiting: list[Warm] = []

    def __iter__(self) -> Iterator[Warm]:
        return iter(tuple(self._waiting))

    def waits(self, key: Key) -> bool:
        """Whether there is a program of the key."""
        return any(warm.key == key for warm in self._waiting)

    def first(self, key: Key) -> Warm | None:
        """Whom :meth:`take` will look at first."""
        return next((warm for warm in reversed(self._waiting) if warm.key == key), None)

    def take(self, key: Key) -> Warm | None:
        """The program of the key that worked last, if one waits and is well."""
        for warm in reversed(self._waiting):
            if warm.key == key:
                self.leave(warm)
                if warm.program.settled():
                    return warm
                self._retire(warm)
                return self.take(key)
        return None

    def keep(self, warm: Warm) -> None:
        """Lets the program wait. Of too many, or too much memory, the longest waiting leave."""
        self._arm(warm)
        self._waiting.append(warm)
        while self._crowded():
            longest = self._waiting[0]
            self.leave(longest)
            self._retire(longest)

    def leave(self, warm: Warm) -> None:
        """Takes the program out of the line, if it stands there."""
        if warm in self._waiting:
            self._waiting.remove(warm)
        if warm.leave is not None:
            warm.leave.cancel()

    def _arm(self, warm: Warm) -> None:
        loop = asyncio.get_running_loop()
        warm.leave = loop.call_later(self._limits.warm_idle_seconds, self._expire, warm)

    def _expire(self, warm: Warm) -> None:
        alone = sum(other.key == warm.key for other in self._waiting) == 1
        if warm.key.model in self._held and alone:
            self._arm(warm)
            return
        self.leave(warm)
        self._retire(warm)

    def _crowded(self) -> bool:
        held = sum(warm.program.resident_bytes for warm in self._waiting)
        limits = self._limits
        return len(self._waiting) > limits.warm_count or held > limits.warm_bytes
