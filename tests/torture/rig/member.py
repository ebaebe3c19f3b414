"""One process of the platform, which is started again whenever it dies."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.rig.birth import Bear, Birth

START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Death:
    """A process that ended: ``cause`` is the fault that killed it, or empty if nobody did."""

    member: str
    at: float
    code: int
    was_ready: bool
    cause: str
    deaf: bool = False
    """It runs under a library that fakes its clock, and that now and then stops at a signal."""


@dataclass
class Member:
    """``ready`` is what its line on stdout begins with once it works. ``arm`` gives the failpoints
    of its next life."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    ready: str
    died: Callable[[Death], None]
    bear: Bear
    arm: Callable[["Member"], str] = lambda _: ""
    deaf: bool = False
    pid: int = 0
    word: str = ""
    """The rest of its ready line: an address, or a worker's id."""
    stopped: bool = False
    armed: str = ""
    cause: str = ""
    starts: int = 0
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _keeping: asyncio.Task[None] | None = None
    _leaving: bool = False

    @property
    def role(self) -> str:
        return self.name.partition("-")[0]

    @property
    def is_up(self) -> bool:
        return self._up.is_set() and not self.stopped

    def start(self) -> None:
        self._leaving = False
        self._keeping = asyncio.create_task(self._keep())

    async def up(self, seconds: float = START_SECONDS) -> None:
        """Returns once it is ready."""
        async with asyncio.timeout(seconds):
            await self._up.wait()

    async def up_again(self, lives: int, seconds: float = START_SECONDS) -> None:
        """Returns once it is ready in a later life than that one."""
        async with asyncio.timeout(seconds):
            while self.starts == lives or not self._up.is_set():
                await asyncio.sleep(0.05)

    def kill(self, cause: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.cause = cause
        self._signal(number)

    async def leave(self) -> None:
        """By TERM, and for good."""
        assert self._keeping is not None
        self._leaving = True
        self.kill("TERM", signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(self._keeping)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._keeping

    def _signal(self, number: signal.Signals) -> None:
        """Unless it is not alive just now: pid 0 would be ourselves."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _keep(self) -> None:
        while not self._leaving:
            await self._live()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _live(self) -> None:
        self.starts += 1
        self.armed = self.arm(self)
        self.cause = ""
        birth = Birth(
            self.command,
            {**self.environment, "USINA_FAILPOINTS": self.armed},
            self.folder / f"{self.name}.log",
        )
        child = await self.bear(birth)
        self.pid = child.pid
        was_ready = False
        async for line in child.lines:
            text = line.decode(errors="replace").strip()
            if not was_ready and self.ready in text:
                was_ready = True
                self.word = text.partition(self.ready)[2].strip()
                self._up.set()
        code = await child.ended()
        self._up.clear()
        self.pid, self.stopped = 0, False
        cause = self.cause or (f"failpoint {self.armed}" if self.armed and code == -9 else "")
        self.died(Death(self.name, time.monotonic(), code, was_ready, cause, self.deaf))
