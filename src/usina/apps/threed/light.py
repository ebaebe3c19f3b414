"""What light reaches a point: an even sky around the object, and one lamp.

Both ask the same question, "does anything stand between this point and that direction?", and
answer it with depth maps drawn from there.
"""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.raster import rasterise
from usina.imaging.array import Field, Field32, Indices

_SKY_DIRECTIONS = 36
_SKY_MAP = 128
_CENTRE = np.zeros((1, 2))


@dataclass(frozen=True, slots=True)
class DepthMap:
    """How far things are as seen in parallel from ``towards`` (a unit vector from the object to
    the light); ``depth`` is ``(size, size)``, infinite where nothing is."""

    axes: Field
    origin: Field
    scale: float
    depth: Field32

    def reaches(self, points: Field | Field32, bias: Field32 | float, taps: Field) -> Field32:
        """The share 0..1 of ``taps`` (offsets ``(t, 2)`` in pixels) from which the light reaches
        each of ``points``; ``bias`` is how deep a point may lie under the surface."""
        x, y, z = self.axes.astype(np.float32)
        scale = np.float32(self.scale)
        local = points.astype(np.float32) - self.origin.astype(np.float32)
        column, row, depth = local @ x * scale, local @ -y * scale, local @ -z - bias
        size = len(self.depth)
        flat = self.depth.ravel()
        total = np.zeros(len(points), dtype=np.float32)
        for across, down in taps.astype(np.float32):
            at_column = np.clip(column + across, 0, size - 1).astype(np.int32)
            at_row = np.clip(row + down, 0, size - 1).astype(np.int32)
            total += depth <= flat[at_row * size + at_column]
        return total / np.float32(len(taps))


def depth_map(points: Field, faces: Indices, towards: Field, size: int) -> DepthMap:
    """Draw the depths of a mesh as seen from the direction ``towards``."""
    right = np.cross([0.0, 1.0, 0.0], towards)
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(towards, right), towards])
    seen = points @ axes.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = float((high - low)[:2].max()) * 1.04
    scale = size / extent
    middle = (low + high) / 2
    corner = np.array([middle[0] - extent / 2, middle[1] + extent / 2, high[2]])
    local = (seen - corner) * np.array([scale, -scale, 1])
    far = 1.01 * float(high[2] - low[2]) + 1e-9
    drawn = rasterise(local + np.array([0, 0, far]), faces, size, size)
    depth = np.full(size * size, np.inf, dtype=np.float32)
    depth[drawn.pixel] = far - drawn.nearness
    return DepthMap(axes, corner @ axes, scale, depth.reshape(size, size))


@dataclass(frozen=True, slots=True)
class Sky:
    """An even sky around a mesh, as depth maps from directions spread over the upper half."""

    maps: tuple[DepthMap, ...]
    extent: float

    def light(self, at: Field32, normals: Field32, *, lift: float) -> Field32:
        """How much of the sky above its own horizon each point sees, cosine-weighted, 0 to 1;
        ``lift`` raises the points off their surface, as a share of the mesh's extent."""
        seen, possible = np.zeros((2, len(at)), dtype=np.float32) + np.float32(1e-9)
        lifted = at + normals * np.float32(lift * self.extent)
        for depths in self.maps:
            weight = np.maximum(normals @ depths.axes[2].astype(np.float32), 0)
            seen += weight * depths.reaches(lifted, 0.5 * lift * self.extent, _CENTRE)
            possible += weight
        return seen / possible


def sky_around(points: Field, faces: Indices) -> Sky:
    maps = (depth_map(points, faces, towards, _SKY_MAP) for towards in _dome(_SKY_DIRECTIONS))
    return Sky(tuple(maps), float(np.ptp(points, axis=0).max()))


def _dome(count: int) -> Field:
    """Directions spread evenly over the upper half of the sphere (a Fibonacci spiral)."""
    turn = np.pi * (3 - 5**0.5) * np.arange(count)
    up = (np.arange(count) + 0.5) / count
    flat = np.sqrt(1 - up**2)
    return np.column_stack([flat * np.cos(turn), up, flat * np.sin(turn)])


def disc(count: int, radius: float) -> Field:
    """``(count, 2)`` offsets spread evenly over a disc."""
    turn = np.pi * (3 - 5**0.5) * np.arange(count)
    out = radius * np.sqrt((np.arange(count) + 0.5) / count)
    return np.column_stack([out * np.cos(turn), out * np.sin(turn)])
