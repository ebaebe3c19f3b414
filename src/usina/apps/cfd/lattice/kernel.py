"""What is computed for every node in every step: collide, and hand on.

Populations lie in blocks of `BLOCK` nodes: first the block's nineteen rows of velocity 0, 1, ...,
then the next block's. A block fits the first cache, and its rows are vectors of the processor.

Steps come in pairs that work in place (the AA pattern; Bailey, Myre, Walsh, Lilja and Saar 2009).
An even step collides and stores each population in the slot of its opposite, in its own node. An
odd step fetches what has come in from there, collides, and stores what leaves where the next even
step looks for it: where the opposite was fetched. Every slot is read and written by one node, so
nodes may be taken in any order and by any thread.

What is stored is how far a population is from that of the fluid at rest, and the equilibrium is
linear: this is Stokes' flow, whose velocity is proportional to the force.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from usina.apps.cfd.jit import kernel, parallel_kernel, spread
from usina.apps.cfd.lattice.velocity import AHEAD, COUNT, PAIR_WEIGHTS, PAIRS
from usina.imaging.array import Field

Addresses: TypeAlias = NDArray[np.uint32]
"""Places in the populations, counted over all of them."""

BLOCK: Final = 32

_SIZE: Final = COUNT * BLOCK
_MOVING: Final = (COUNT - 1) * BLOCK


@kernel
def collide(slots: Field, base: int, sums: Field, even: float, odd: float, force: float) -> None:
    """One block whose populations begin at ``base``: two relaxation times with a force along z
    (Ginzburg, Verhaeghe and d'Humieres 2008), each result in the slot of its opposite. ``even``
    and ``odd`` are the rates of the symmetric and the antisymmetric part; ``sums`` ``(4 * BLOCK,)``
    is room for density and momentum."""
    for k in range(BLOCK):
        sums[k] = slots[base + k]
        sums[BLOCK + k] = 0.0
        sums[2 * BLOCK + k] = 0.0
        sums[3 * BLOCK + k] = 0.0
    for pair in range(PAIRS):
        one = base + (1 + 2 * pair) * BLOCK
        x, y, z = AHEAD[pair, 0], AHEAD[pair, 1], AHEAD[pair, 2]
        for k in range(BLOCK):
            there, back = slots[one + k], slots[one + BLOCK + k]
            sums[k] += there + back
            sums[BLOCK + k] += x * (there - back)
            sums[2 * BLOCK + k] += y * (there - back)
            sums[3 * BLOCK + k] += z * (there - back)
    for k in range(BLOCK):
        sums[BLOCK + k] *= odd
        sums[2 * BLOCK + k] *= odd
        sums[3 * BLOCK + k] = odd * sums[3 * BLOCK + k] + force
        slots[base + k] -= even * (slots[base + k] - sums[k] / 3)
    for pair in range(PAIRS):
        one = base + (1 + 2 * pair) * BLOCK
        weight = PAIR_WEIGHTS[pair]
        share = 3 * weight
        x, y, z = share * AHEAD[pair, 0], share * AHEAD[pair, 1], share * AHEAD[pair, 2]
        for k in range(BLOCK):
            there, back = slots[one + k], slots[one + BLOCK + k]
            flow = x * sums[BLOCK + k] + y * sums[2 * BLOCK + k] + z * sums[3 * BLOCK + k]
            plus = even * (0.5 * (there + back) - weight * sums[k])
            minus = odd * 0.5 * (there - back) - flow
            slots[one + k] = back - plus + minus
            slots[one + BLOCK + k] = there - plus - minus


@parallel_kernel
def even_step(slots: Field, parts: int, even: float, odd: float, force: float) -> None:
    """All blocks, shared out in ``parts``."""
    blocks = slots.size // _SIZE
    for part in spread(parts):
        sums = np.empty(4 * BLOCK)
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            collide(slots, block * _SIZE, sums, even, odd, force)


@parallel_kernel
def odd_step(
    slots: Field, sources: Addresses, parts: int, even: float, odd: float, force: float
) -> None:
    """As `even_step`; ``sources`` ``(blocks * 18 * BLOCK,)`` tell where the population of each
    slot, those at rest left out, comes in from."""
    blocks = slots.size // _SIZE
    for part in spread(parts):
        sums, own = np.empty(4 * BLOCK), np.empty(_SIZE)
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            rest, first = block * _SIZE, block * _MOVING
            for k in range(BLOCK):
                own[k] = slots[rest + k]
            for k in range(_MOVING):
                own[BLOCK + k] = slots[sources[first + k]]
            collide(own, 0, sums, even, odd, force)
            for k in range(BLOCK):
                slots[rest + k] = own[k]
            for k in range(_MOVING):
                slots[sources[first + k]] = own[BLOCK + k]


@kernel
def turn(slots: Field, where: Addresses) -> None:
    """Change the sign of some."""
    for place in where:
        slots[place] = -slots[place]


@parallel_kernel
def momentum(slots: Field, out: Field, parts: int) -> None:
    """The momentum that the populations of each node carry, after an odd step, into ``out``
    ``(3, nodes)``."""
    blocks = slots.size // _SIZE
    for part in spread(parts):
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            node = block * BLOCK
            for axis in range(3):
                for k in range(BLOCK):
                    out[axis, node + k] = 0.0
                for pair in range(PAIRS):
                    one = block * _SIZE + (1 + 2 * pair) * BLOCK
                    share = AHEAD[pair, axis]
                    for k in range(BLOCK):
                        out[axis, node + k] += share * (slots[one + k] - slots[one + BLOCK + k])


@parallel_kernel
def copy(source: Field, target: Field, parts: int) -> None:
    """Nothing but the memory's own speed: what a step is measured against."""
    count = source.size
    for part in spread(parts):
        for place in range(part * count // parts, (part + 1) * count // parts):
            target[place] = source[place]


def compile_all() -> None:
    """Each kernel once, so that its machine code is kept."""
    slots, sources = np.zeros(_SIZE), np.arange(BLOCK, _SIZE, dtype=np.uint32)
    nothing: dict[str, Any] = {"even": 1.0, "odd": 1.0, "force": 0.0}
    even_step(slots, 1, **nothing)
    odd_step(slots, sources, 1, **nothing)
    turn(slots, sources)
    momentum(slots, np.zeros((3, BLOCK)), 1)
