"""A surface whose triangles each have a finish instead of a picture."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.finish import Finish
from usina.apps.threed.surface import Surface
from usina.imaging.array import Field, Indices

_CELL = 4
"""Pixels of a colour in the palette, so that no neighbour bleeds in."""


@dataclass(frozen=True, slots=True)
class Painted:
    """``points`` ``(v, 3)`` in metres, y up, standing on the ground, the front towards +z;
    ``normals`` ``(v, 3)`` of length 1; ``faces`` ``(f, 3)``, counterclockwise from outside, in the
    order of ``worn`` ``(f,)``, which of the ``finishes`` each wears. Points stand twice where
    shading has a seam or finishes meet."""

    points: Field
    normals: Field
    faces: Indices
    worn: Indices
    finishes: tuple[Finish, ...]

    def of_finish(self, number: int) -> Indices:
        """The faces that wear a finish."""
        return self.faces[self.worn == number]

    def is_flat(self) -> bool:
        """Whether it is best looked at from above."""
        width, height, depth = np.ptp(self.points, axis=0).tolist()
        return height < 0.4 * max(width, depth)

    def with_palette(self) -> Surface:
        """The same with a texture of plain colours, to be drawn."""
        colours = np.array([finish.rgb for finish in self.finishes], dtype=np.uint8)
        texture = colours[None].repeat(_CELL, axis=0).repeat(_CELL, axis=1)
        across = np.zeros(len(self.points))
        across[self.faces.ravel()] = np.repeat(self.worn, 3)
        uv = np.column_stack([(across + 0.5) / len(colours), np.full(len(across), 0.5)])
        return Surface(self.points, self.normals, uv, self.faces, texture)
