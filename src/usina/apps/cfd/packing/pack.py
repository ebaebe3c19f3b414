"""Spheres in a tube, by gravity or in layers, as an order asks."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from usina.apps.cfd.packing.gravity import Bed, OutOfReach, Search, dropped, start
from usina.apps.cfd.packing.lattice import stack
from usina.apps.cfd.packing.order import MOST_COUNT, Order, Stacking
from usina.apps.cfd.particles import Particles, spheres
from usina.apps.cfd.porosity import core_porosity
from usina.imaging.array import Field
from usina_runner import InvalidInput

_SLACK = 1e-9


class Progress(Protocol):
    def __call__(self, share: float | None = None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Packed:
    """The particles, and how many sweeps pressed them (null in layers)."""

    particles: Particles
    sweeps: int | None


@dataclass(frozen=True, slots=True)
class Packing:
    """How an order is carried out; ``between`` is told the share that is done, or nothing new, and
    may raise to stop it."""

    order: Order
    sweeps: int
    stacking: Stacking
    between: Progress

    def make(self) -> Packed:
        """Raises ``InvalidInput`` for what turns out not to be possible."""
        order = self.order
        centres, swept = self._in_layers() if order.method == "hexagonal" else self._by_gravity()
        tall = order.height_m / self._across
        if len(centres) and centres[:, 2].max() + 0.5 > tall + _SLACK:
            needed = float(centres[:, 2].max() + 0.5) * self._across
            raise order.refuse_height(needed, int((centres[:, 2] + 0.5 <= tall).sum()))
        if len(centres) > MOST_COUNT:
            raise InvalidInput(
                "too_many_particles",
                f"That is a bed of {len(centres)} particles; at most {MOST_COUNT} are packed. Ask "
                "for less height, or for larger particles.",
            )
        return Packed(spheres(self._across, centres * self._across), swept)

    @property
    def _across(self) -> float:
        return self.order.shape.diameter_m

    @property
    def _radius(self) -> float:
        return self.order.diameter_m / 2 / self._across

    def _by_gravity(self) -> tuple[Field, int]:
        order = self.order
        fallen = dropped(
            self._radius, self._enough(), order.seed, lambda share: self.between(0.3 * share)
        )
        bed = start(self._radius, fallen, order.seed, self.between)
        if order.target is not None:
            return self._aimed(bed, order.target)
        for part in range(1, 11):
            bed.press(self.sweeps * part // 10)
            self.between(0.3 + 0.06 * part)
        return self._cut(bed.finished()), self.sweeps

    def _aimed(self, bed: Bed, target: float) -> tuple[Field, int]:
        """The bed with the porosity that is asked for."""
        search = Search(target, self._porosity, lambda share: self.between(0.3 + 0.7 * share))
        try:
            sweeps, centres = search.run(bed)
        except OutOfReach as missed:
            raise InvalidInput(
                "porosity_out_of_reach",
                f"These particles pack to porosities from {missed.low:.3f} to {missed.high:.3f} in "
                f"this tube, not to {target:.4g}. Ask for one of these, or change the tube's or "
                "the particles' diameter.",
            ) from None
        return self._cut(centres), sweeps

    def _in_layers(self) -> tuple[Field, None]:
        order = self.order
        height = order.fill_m if order.fill_m is not None else order.height_m
        tall = height / self._across if order.count is None else float(order.count)
        self.between(0.5)
        centres = stack(self._radius, order.count, tall, self.stacking)
        if order.target is not None and abs(self._porosity(centres) - order.target) > 0.003:
            raise InvalidInput(
                "porosity_out_of_reach",
                f"Hexagonal layers have the porosity {self._porosity(centres):.3f} in this tube, "
                "and no other; leave target_porosity out, or use method gravity.",
            )
        return centres, None

    def _enough(self) -> int:
        """Particles to fall: those asked for, or more than can lie below the height asked for."""
        order = self.order
        if order.count is not None:
            return order.count
        return min(order.enough_for_fill(), int(1.3 * MOST_COUNT))

    def _cut(self, centres: Field) -> Field:
        """Those that lie below the height asked for."""
        if self.order.fill_m is None:
            return centres
        inside = centres[:, 2] + 0.5 <= self.order.fill_m / self._across + _SLACK
        return np.ascontiguousarray(centres[inside])

    def _porosity(self, centres: Field) -> float:
        cut = self._cut(centres)
        core = core_porosity(spheres(1.0, cut), 2 * self._radius) if len(cut) else None
        if core is None:
            raise InvalidInput(
                "no_core",
                "target_porosity is of the core, one particle diameter from each end; this bed is "
                "lower than three. Ask for more particles.",
            )
        return core.value
