"""The few calls into SciPy and fast_simplification, with their array types stated."""

from typing import Any, cast

import fast_simplification  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from scipy.sparse import coo_array  # pyright: ignore[reportMissingTypeStubs]
from scipy.sparse.csgraph import (  # pyright: ignore[reportMissingTypeStubs]
    connected_components,  # pyright: ignore[reportUnknownVariableType]
    dijkstra,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.sparse.linalg import (  # pyright: ignore[reportMissingTypeStubs]
    splu,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

from usina.imaging.array import Bits, Field, Indices

_splu, _dijkstra, _tree = cast("Any", splu), cast("Any", dijkstra), cast("Any", KDTree)
_connected = cast("Any", connected_components)


def solve_symmetric(
    rows: Indices, columns: Indices, values: Field, right: Field, held: Bits
) -> Field:
    """The solution ``(n,)`` of a symmetric positive definite system that is 0 where ``held`` is
    set; its matrix is the sum of ``values`` at ``rows`` and ``columns``."""
    place = np.cumsum(~held) - 1
    used = ~(held[rows] | held[columns])
    count = int((~held).sum())
    solution = np.zeros(len(right))
    if count:
        at = (place[rows[used]], place[columns[used]])
        matrix = coo_array((values[used], at), shape=(count, count)).tocsc()
        factors = _splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        solution[~held] = factors.solve(right[~held])
    return solution


def shortest_paths(edges: Indices, lengths: Field, count: int) -> Field:
    """``(count, count)``: the length of the shortest path between any two nodes of a graph, whose
    undirected ``edges`` are ``(n, 2)``."""
    graph = coo_array((lengths, (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    return np.asarray(_dijkstra(graph, directed=False), dtype=np.float64)


def pieces(faces: Indices) -> Indices:
    """``(m,)``: which of the pieces that share no point each triangle belongs to, from 0."""
    size = int(faces.max()) + 1
    start, end = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(size, size))
    _, label = _connected(graph, directed=False)
    return np.unique(np.asarray(label)[faces[:, 0]], return_inverse=True)[1].astype(np.int64)


def nearest(points: Field, at: Field, count: int) -> tuple[Field, Indices]:
    """The distances to, and the numbers of, the ``count`` of ``points`` nearest to each place."""
    distance, index = _tree(points).query(at, k=[*range(1, count + 1)])
    return distance, index


def collapse_edges(
    points: Field, faces: Indices, target: int, *, keep_rim: bool
) -> tuple[Field, Indices]:
    """``target`` triangles, or more where sharp edges allow no fewer, by collapsing the edges that
    matter least (Garland and Heckbert, SIGGRAPH 1997); an open surface keeps its rim if wanted."""
    simple = fast_simplification.simplify(
        points, faces.astype(np.int32), target_count=target, preserve_border=keep_rim
    )
    return simple[0].astype(np.float64), simple[1].astype(np.int64)
