"""Where the fluid is: the nodes of a sparse lattice, and from where each takes what comes in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from usina.apps.cfd.lattice.kernel import BLOCK, Addresses
from usina.apps.cfd.lattice.velocity import COUNT, STEPS, mirrored, opposite
from usina.imaging.array import Bits, Indices

Ends = Literal["periodic", "mirrored"]
"""What lies beyond the two ends of z. *periodic*: the lattice again. *mirrored*: its mirror image,
in which the fluid flows on the same way; so the pressure is level over the cut and the fluid
crosses it straight, and nothing that was cut has to fit together."""

BYTES_PER_NODE: Final = 8 * COUNT + 4 * (COUNT - 1)
"""Of populations and sources, the most that a node takes."""


@dataclass(frozen=True, slots=True)
class Domain:
    """``nodes`` ``(n,)``: the fluid's places in a box of ``shape`` (z, y, x), in that order;
    ``sources`` as `odd_step` wants them; ``turned``: those of them that cross a mirror, where the
    flow changes its sign."""

    shape: tuple[int, int, int]
    nodes: Indices
    sources: Addresses
    turned: Addresses

    @property
    def blocks(self) -> int:
        return -(-len(self.nodes) // BLOCK)

    def layers(self) -> Indices:
        """``(n,)``: the z of each node."""
        return self.nodes // (self.shape[1] * self.shape[2])


def connect(fluid: Bits, ends: Ends, between: Callable[[], None] = lambda: None) -> Domain:
    """The lattice of a box ``(z, y, x)``. Along x and y the box is periodic: who wants a wall there
    puts one in. What would come out of a wall comes back to where it left, half-way (Ladd 1994).
    ``between`` is called now and then, and may raise."""
    nodes = np.flatnonzero(fluid)
    number = np.zeros(fluid.shape, dtype=np.int64)
    number.ravel()[nodes] = np.arange(len(nodes))
    own = np.arange(-(-len(nodes) // BLOCK) * BLOCK)
    sources = np.empty((COUNT - 1, len(own)), dtype=np.uint32)
    turned: list[Addresses] = []
    place = np.array(np.unravel_index(nodes, fluid.shape))
    for velocity in range(1, COUNT):
        between()
        sources[velocity - 1] = _address(own, velocity)
        above, y, x = _before(place, velocity, fluid.shape)
        crosses = (above < 0) | (above >= fluid.shape[0])
        if ends == "periodic":
            crosses[:] = False
        z = above % fluid.shape[0]
        z[crosses] = place[0][crosses]
        slot = np.where(crosses, opposite(mirrored(velocity)), opposite(velocity))
        open_ = fluid[z, y, x]
        incoming = _address(number[z, y, x][open_], slot[open_])
        sources[velocity - 1, : len(nodes)][open_] = incoming
        turned.append(incoming[crosses[open_]].astype(np.uint32))
    blocks = sources.reshape(COUNT - 1, -1, BLOCK).swapaxes(0, 1)
    return Domain(fluid.shape, nodes, blocks.ravel(), np.concatenate(turned))


def leads_through(fluid: Bits) -> bool:
    """Whether a way leads through the fluid from the first layer to the last, by steps of the
    lattice inside of the box."""
    from scipy import ndimage  # pyright: ignore[reportMissingTypeStubs]

    tools: Any = ndimage
    label = np.asarray(tools.label(fluid, tools.generate_binary_structure(3, 2))[0])
    return bool(np.intersect1d(label[0][fluid[0]], label[-1][fluid[-1]]).size)


def _before(place: Indices, velocity: int, shape: tuple[int, int, int]) -> Indices:
    """Where what arrives by a velocity was one step ago, as z (maybe outside), y, x."""
    step = STEPS[velocity]
    z, y, x = place
    return np.stack([z - step[2], (y - step[1]) % shape[1], (x - step[0]) % shape[2]])


def _address(node: Indices, slot: Indices | int) -> Indices:
    """Of a node's slot in the blocks of populations."""
    block, rest = np.divmod(node, BLOCK)
    return (block * COUNT + slot) * BLOCK + rest
