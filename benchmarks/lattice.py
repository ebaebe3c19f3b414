"""Lattice updates per second of `bed-flow-lbm` in a bed of spheres, against a bare copy of the same
populations: what moving them once through the memory costs, with as many threads, in the same run.

An update also fetches from eighteen neighbours and computes some three hundred sums and products;
the copy does neither. Both take turns, and the medians are compared.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from usina.apps.cfd.jit import set_threads
from usina.apps.cfd.lattice.domain import connect
from usina.apps.cfd.lattice.kernel import copy
from usina.apps.cfd.lattice.known import storeys
from usina.apps.cfd.lattice.stokes import Stokes
from usina.apps.cfd.lattice.voxel import voxelize

RATIO_LEAST: Final = 0.5
_ROUNDS: Final = 15
_STEPS: Final = 8
_RESOLUTION: Final = 20
_STOREYS: Final = 15


def _rate(nodes: int, act: Callable[[], None]) -> float:
    """Million nodes per second."""
    began = time.perf_counter()
    act()
    return nodes / (time.perf_counter() - began) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    set_threads(threads)
    grid = voxelize(storeys(_STOREYS, 1.0), 3.0, 0.0, _STOREYS, 1 / _RESOLUTION)
    flow = Stokes(connect(grid.fluid, "mirrored"), threads)
    other, nodes = np.empty_like(flow.slots), len(flow.domain.nodes)
    flow.advance(2)
    copy(flow.slots, other, threads)
    updates, copies = [], []
    for _ in range(_ROUNDS):
        updates.append(_rate(nodes * _STEPS, lambda: flow.advance(_STEPS)))
        copies.append(_rate(nodes, lambda: copy(flow.slots, other, threads)))
    update, bare = statistics.median(updates), statistics.median(copies)
    ratio = update / bare
    print(f"{nodes} fluid nodes, {flow.slots.nbytes >> 20} MiB of populations, {threads} threads")
    print(f"{update:6.1f} million lattice updates per second")
    print(f"{bare:6.1f} million nodes copied per second")
    print(f"ratio {ratio:.2f} (aim at least {RATIO_LEAST})")
    return int(ratio < RATIO_LEAST)


if __name__ == "__main__":
    sys.exit(main())
