"""Stokes' flow through a domain, driven by a force along z, step by step until it is steady."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from usina.apps.cfd.lattice.domain import Domain
from usina.apps.cfd.lattice.kernel import BLOCK, even_step, momentum, odd_step, turn
from usina.apps.cfd.lattice.velocity import COUNT
from usina.imaging.array import Field

MAGIC: Final = 3 / 16
"""With it a wall lies exactly half-way between the last node and the first solid one, for a flow
between plates along an axis (Ginzburg and d'Humieres 2003)."""

LOOK_EVERY: Final = 40
"""Steps between two looks at the flow."""

_FORCE = 1.0
_UNEVEN = 0.005


@dataclass(slots=True)
class Stokes:
    """A flow at rest at first. ``threads`` changes its speed and not one bit of it, ``viscosity``,
    in voxels squared per step, how many steps it takes and not where it ends."""

    domain: Domain
    threads: int = 1
    viscosity: float = 1 / 6
    steps: int = 0
    slots: Field = field(init=False)

    def __post_init__(self) -> None:
        self.slots = np.zeros(self.domain.blocks * BLOCK * COUNT)

    def advance(self, steps: int, between: Callable[[], None] = lambda: None) -> None:
        """An even number of steps; ``between`` is called after each pair, and may raise."""
        even = 1 / (3 * self.viscosity + 0.5)
        odd = 1 / (0.5 + MAGIC / (3 * self.viscosity))
        for _ in range(steps // 2):
            even_step(self.slots, self.threads, even, odd, _FORCE)
            turn(self.slots, self.domain.turned)
            odd_step(self.slots, self.domain.sources, self.threads, even, odd, _FORCE)
            turn(self.slots, self.domain.turned)
            self.steps += 2
            between()

    def mobility(self) -> Field:
        """``(3, n)``: the velocity in x, y, z at each node for a pressure gradient of one over the
        viscosity, in voxels squared. Its mean over all of the space, solid included, is Darcy's
        permeability."""
        out = np.empty((3, self.domain.blocks * BLOCK))
        momentum(self.slots, out, self.threads)
        out[2] += _FORCE / 2
        return out[:, : len(self.domain.nodes)] * (self.viscosity / _FORCE)

    def through_layers(self) -> Field:
        """``(z,)``: the mobility along z summed over each layer. In a steady flow all are equal,
        since what comes in goes out."""
        length = self.domain.shape[0]
        summed = np.bincount(self.domain.layers(), self.mobility()[2], length)
        return np.asarray(summed, dtype=np.float64)


def unevenness(layers: Field) -> float:
    """By how much the flow through the layers differs, over its mean: 0 where mass is kept."""
    mean = abs(float(layers.mean()))
    return float(np.ptp(layers)) / mean if mean else 0.0


@dataclass(slots=True)
class Settling:
    """What was seen of the flow, every `LOOK_EVERY` steps, and how far it is from steady."""

    flows: list[float] = field(default_factory=list[float])
    uneven: float = 1.0

    def look(self, flow: Stokes) -> None:
        layers = flow.through_layers()
        self.flows.append(float(layers.mean()))
        self.uneven = unevenness(layers)

    def settled(self, tolerance: float) -> bool:
        """Whether less than a share of the flow is still to come, and it is even along the way."""
        return self.left() <= tolerance and self.uneven <= _UNEVEN

    def left(self) -> float:
        """The relative change that is still to come, at most 1, which it is too as long as nothing
        can be told. The change falls by about the same factor from look to look, so its rest is
        the sum of a geometric series (Aitken)."""
        return self._left_at(len(self.flows))

    def residuals(self) -> list[float]:
        """What `left` was at each look."""
        return [self._left_at(look) for look in range(1, len(self.flows) + 1)]

    def _left_at(self, look: int) -> float:
        seen = self.flows[max(0, look - 3) : look]
        if look < 4 or not seen[-1]:
            return 1.0
        before, last = seen[1] - seen[0], seen[2] - seen[1]
        ratio = abs(last / before) if before else float(bool(last))
        if ratio >= 1:
            return 1.0
        change = abs(last / seen[-1])
        return min(1.0, change * max(1.0, ratio / (1 - ratio)))


def settle(
    flow: Stokes,
    settling: Settling,
    *,
    tolerance: float,
    most_steps: int,
    between: Callable[[], None] = lambda: None,
    look: Callable[[], None] = lambda: None,
) -> bool:
    """Go on until the flow changes by less than a share ``tolerance`` any more; false where
    ``most_steps`` did not suffice. ``between`` is called after each pair of steps, ``look`` after
    each look; both may raise."""
    while not settling.settled(tolerance):
        if flow.steps >= most_steps:
            return False
        flow.advance(LOOK_EVERY, between)
        settling.look(flow)
        look()
    return True
