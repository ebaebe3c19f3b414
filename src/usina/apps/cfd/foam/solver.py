"""simpleFoam, velocity after velocity on one mesh, each from the field of the one before.

A velocity is done when the pressure drop has stood still: residuals of such flows level off at
wakes that are never quite steady. A cancel stops the solver after its iteration and leaves a
checkpoint.
"""

import time
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import Final

from usina.apps.cfd.foam.case import Control, write_control
from usina.apps.cfd.foam.checkpoint import State, pack, parts_of, times
from usina.apps.cfd.foam.field import set_inlet
from usina.apps.cfd.foam.log import FIELDS, Monitor
from usina.apps.cfd.foam.option import Option
from usina.apps.cfd.foam.workshop import Workshop
from usina_runner import Cancelled, Failure, Job

STILL_ITERATIONS: Final = 30
STILL_SHARE: Final = 0.002
_STOP_SHARE: Final = 0.0015  # a solver makes some iterations more before it has heard
NO_END: Final = 1_000_000_000
"""A solver goes on until it is told to stop."""

_STOP_SECONDS: Final = 2.4
_TELL_SECONDS: Final = 1.0
_USUAL: Final = 90


@dataclass(slots=True)
class Solver:
    """``share`` is the part of the whole progress that solving has, from its first to its last."""

    job: Job
    shop: Workshop
    option: Option
    state: State
    share: tuple[float, float]
    _kept: int = field(default=0, init=False)
    _archives: int = field(default=0, init=False)

    def solve(self, number: int) -> Monitor:
        """The velocity of that number, to its end; what the solver said. Raises ``Failure``, or
        ``Cancelled`` after a checkpoint."""
        velocity, folder, parts = self._velocity(number), self.shop.folder, self.state.parts
        latest = times(folder, parts)[-1]
        inlets = [set_inlet(part / str(latest), velocity) for part in parts_of(folder, parts)]
        if not any(inlets):
            raise Failure("runner_failed", "solver_failed", "The field U has no inlet.", False)
        write_control(folder, Control(NO_END, self.option.checkpoint_seconds))
        self._kept = latest
        monitor = Monitor(velocity**2 + self.option.fluid.kinematic_m2_s**2, self.state.history)
        run = _Run(self, monitor, number)
        try:
            self.shop.run(
                "simpleFoam",
                reason="solver_failed",
                parts=parts,
                hear=run.hear,
                between=run.between,
            )
        except (Failure, Cancelled):
            if self.job.cancelled:
                self.keep(self._latest_whole(run.heard))
                raise Cancelled from None
            raise
        if self.job.cancelled:
            self.keep(times(folder, parts)[-1])
            raise Cancelled
        run.judge()
        return monitor

    def keep(self, iteration: int) -> None:
        """A checkpoint with the fields of an iteration."""
        name = f"checkpoint-{self._archives}.tar"
        pack(self.job.outputs / name, self.shop.folder, self.state, iteration)
        self.job.checkpoint_saved(name)
        (self.job.outputs / f"checkpoint-{self._archives - 2}.tar").unlink(missing_ok=True)
        self._archives += 1
        self._kept = iteration

    def keep_if_new(self, heard: int) -> None:
        latest = self._latest_whole(heard)
        if latest > self._kept:
            self.keep(latest)

    def stop(self) -> None:
        write_control(self.shop.folder, Control(NO_END, self.option.checkpoint_seconds, "writeNow"))

    def _latest_whole(self, heard: int) -> int:
        """Fields that were written before the last iteration that was heard of are whole."""
        return max(
            time for time in times(self.shop.folder, self.state.parts) if time < heard or not time
        )

    def _velocity(self, number: int) -> float:
        return self.option.velocity_m_s[number]


@dataclass(slots=True)
class _Run:
    """One run of the solver: what is heard, and what is done about it between the lines."""

    solver: Solver
    monitor: Monitor
    number: int
    heard: int = 0
    _stopping: float | None = None
    _told: float = 0.0
    _looked: float = field(default_factory=time.monotonic)

    def hear(self, line: str) -> None:
        if self.monitor.hear(line):
            self.heard = self.monitor.history.iterations[-1]

    def between(self) -> None:
        now = time.monotonic()
        self.judge()
        if self._stopping is None:
            if self.solver.job.cancelled or self._done():
                self._stopping = now
                self.solver.stop()
        elif self.solver.job.cancelled and now - self._stopping > _STOP_SECONDS:
            raise Cancelled
        if now - self._told >= _TELL_SECONDS and not self.solver.job.cancelled:
            self._told = now
            self._tell()
        if now - self._looked >= self.solver.option.checkpoint_seconds / 4:
            self._looked = now
            self.solver.keep_if_new(self.heard)

    def judge(self) -> None:
        """Raises ``Failure`` as soon as the run is lost."""
        if self.monitor.diverged:
            words = "The solution diverged: a residual or the pressure left all bounds."
            raise self.solver.shop.failure("diverged", words, "simpleFoam")
        self.solver.shop.check_disk()

    def _done(self) -> bool:
        start = self.solver.state.start
        if self.heard - start >= self.solver.option.max_iterations:
            return True
        return self.monitor.steady(STILL_ITERATIONS, _STOP_SHARE, start)

    def _tell(self) -> None:
        solver, history = self.solver, self.monitor.history
        done = max(0, self.heard - solver.state.start)
        count = len(solver.option.velocity_m_s)
        low, high = solver.share
        fraction = (self.number + 1 - exp(-done / _USUAL)) / count
        if history.pressures:
            density = solver.option.fluid.density_kg_m3
            solver.job.metric("iteration", self.heard)
            solver.job.metric("pressure_drop_pa", density * history.pressures[-1])
            for name in FIELDS:
                solver.job.metric(f"residual_{name}", history.residuals[name][-1])
        solver.job.metric("velocity_m_s", solver.option.velocity_m_s[self.number])
        stage = f"solving velocity {self.number + 1} of {count}"
        solver.job.progress(max(solver.job.fraction, low + (high - low) * fraction), stage)


def mean_pressure(monitor: Monitor, density: float) -> float:
    """Of the last iterations at the inlet, in Pa; the outlet's is 0."""
    last = monitor.history.pressures[-STILL_ITERATIONS:]
    mean = density * sum(last) / len(last) if last else float("nan")
    return mean if isfinite(mean) else float("nan")
