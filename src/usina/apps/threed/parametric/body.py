"""An object out of parts, each with its finish; and the one exact solid that they make."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from manifold3d import Manifold, OpType

from usina.apps.threed.finish import COLOURS, MATERIALS, Finish
from usina.apps.threed.parametric.solid import box_of


@dataclass(frozen=True, slots=True)
class Part:
    """``solid`` may reach into other parts: their union is what is made, and the part that lies
    outermost is seen. ``dyed`` says whether the caller's colour and material are for it."""

    solid: Manifold
    finish: Finish
    dyed: bool


Body = tuple[Part, ...]


def main(solid: Manifold, material: str, colour: str | None = None) -> Part:
    """A part that takes the caller's colour and material; without them, these."""
    return Part(solid, _finish(material, colour), dyed=True)


def trim(solid: Manifold, material: str, colour: str | None = None) -> Part:
    """A part that keeps its looks: a trunk, a pip, a carrot."""
    return Part(solid, _finish(material, colour), dyed=False)


def standing(
    body: Body,
    width: float | None = None,
    depth: float | None = None,
    height: float | None = None,
) -> Body:
    """The whole on z = 0, stretched to be exactly so large along x, y and z; a side that is not
    given stays. What rounding and facets took off is given back."""
    boxes = np.array([box_of(part.solid) for part in body])
    low, high = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    extent = high - low
    asked = (width, depth, height)
    wanted = [have if want is None else want for have, want in zip(extent, asked, strict=True)]
    x, y, z = (np.array(wanted) / extent).tolist()
    return tuple(
        replace(part, solid=part.solid.translate((0, 0, -low[2])).scale((x, y, z))) for part in body
    )


def union(solids: Iterable[Manifold]) -> Manifold:
    return Manifold.batch_boolean(list(solids), OpType.Add)


def solid_of(body: Body) -> Manifold:
    """The whole as one solid."""
    return union(part.solid for part in body)


def _finish(material: str, colour: str | None) -> Finish:
    made = MATERIALS[material]
    return made.dyed(colour, COLOURS[colour]) if colour else made
