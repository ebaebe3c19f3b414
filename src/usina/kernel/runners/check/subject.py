"""The program under examination, and the ways to run it."""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from usina.kernel.runners.assignment import StopSignal
from usina.kernel.runners.bench import Bench, Played, Request, bench
from usina.kernel.runners.check.case import Case
from usina.kernel.runners.check.finding import Unchecked
from usina.kernel.runners.form import Form
from usina.kernel.runners.gate import Value
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import Manifest

if TYPE_CHECKING:
    from usina.kernel.runners.check.observation import Observation

_LOG_KEPT: Final = 64 * 1024
_PATIENCE: Final = 20


@dataclass(slots=True)
class Witness:
    """Keeps what a run tells; ``on_progress`` is called at each step."""

    on_progress: Callable[[float], None] = lambda fraction: None
    fractions: list[float] = field(default_factory=list[float])
    written: bytearray = field(default_factory=bytearray)
    kept_bytes: int = _LOG_KEPT

    def progress(self, fraction: float, stage: str | None) -> None:
        self.fractions.append(fraction)
        self.on_progress(fraction)

    def metric(self, name: str, value: Value) -> None:
        """The outcome has them all."""

    def log(self, data: bytes) -> None:
        self.written += data[: max(0, self.kept_bytes - len(self.written))]

    def checkpoint(self, name: str, descriptor: int) -> None:
        os.close(descriptor)

    @property
    def text(self) -> str:
        return self.written.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Act:
    """One run, and what was told during it."""

    played: Played
    told: Witness

    @property
    def ending(self) -> str:
        """How it ended, for people."""
        failure = self.played.failure
        if failure is None:
            return "result"
        reason = f", {failure.reason}" if failure.reason else ""
        return f"{failure.code}{reason}: {failure.message}"


class Subject:
    """A runner folder with a right manifest. Every run is done before the next begins."""

    def __init__(
        self,
        manifest: Manifest,
        form: Form,
        cases: list[Case],
        ground: Bench,
        timeout_seconds: float | None,
    ) -> None:
        self.manifest = manifest
        self.form = form
        self.cases = cases
        self.faults: list[str] = []
        """What is wrong with examples of the folder."""
        self.lines: list[bytes] | None = None
        """What the program says on descriptor 3, once that was recorded."""
        self.observation: Observation | None = None
        self.bench = ground
        self.timeout_seconds = timeout_seconds or manifest.timeout_seconds
        self._first: Act | None = None
        self._examples: dict[str, Act] = {}
        self._left: list[Played] = []

    @property
    def warm(self) -> bool:
        return self.manifest.mode == "warm"

    @property
    def case(self) -> Case:
        """What the program is tried with; raises `Unchecked`."""
        if not self.cases:
            raise Unchecked("there is nothing to run it with; see result")
        return self.cases[0]

    @property
    def request(self) -> Request:
        """A fresh one; raises `Unchecked`."""
        return self.case.request(self.form)

    async def first(self) -> Act:
        """The first good run; raises `Unchecked` where there is none."""
        act = await self.try_first()
        if act.played.failure is not None:
            raise Unchecked("it has to succeed once first; see result")
        return act

    async def try_first(self) -> Act:
        """The first run, whatever came of it."""
        if self._first is None:
            self._first = await self.play(self.request)
            self._left.clear()
        return self._first

    async def example(self, case: Case) -> Act:
        """The run of one of the examples; each is run once. Of those after the first only what they
        told is left."""
        if case is self.case:
            return await self.first()
        if case.name not in self._examples:
            self._examples[case.name] = await self.play(case.request(self.form))
        return self._examples[case.name]

    async def patience(self) -> float:
        """Seconds after which a run that should end soon is taken to hang."""
        usual = (await self.first()).played.seconds
        return min(self.timeout_seconds, max(_PATIENCE, _PATIENCE * usual))

    async def play(
        self,
        request: Request | None = None,
        *,
        ground: Bench | None = None,
        manifest: Manifest | None = None,
        told: Witness | None = None,
        stop: StopSignal | None = None,
        timeout_seconds: float | None = None,
        organization_id: str = "bench",
    ) -> Act:
        """One run to its end; everything that is not told is as usual."""
        told = told or Witness()
        played = await (ground or self.bench).play(
            manifest or self.manifest,
            request or self.request,
            told,
            stop,
            timeout_seconds=timeout_seconds or self.timeout_seconds,
            organization_id=organization_id,
        )
        self._left.append(played)
        return Act(played, told)

    @asynccontextmanager
    async def fresh(
        self, limits: RunnerLimits | None = None, *, name: str = "work"
    ) -> AsyncGenerator[Bench]:
        """A bench where no program runs yet; at its end all that ran there is dead."""
        given = self.bench.environment, self.bench.devices
        async with bench(given[0], name=name, limits=limits, devices=given[1]) as ground:
            yield ground

    def changed(self, **given: object) -> Manifest:
        """The manifest with other values."""
        return self.manifest.model_copy(update=given)

    def with_params(self, params: Mapping[str, Any]) -> Request:
        """The usual request with other parameters; raises ``Invalid``."""
        case = replace(self.case, params={**self.case.params, **params})
        return case.request(self.form)

    def tidy(self) -> None:
        """Removes the work folders of every run but the first."""
        while self._left:
            self._left.pop().work.remove()
