"""Four views of a surface in one picture, without any graphics driver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from usina.apps.threed.camera import Camera, frame
from usina.apps.threed.studio import FILL, FINE, Studio
from usina.imaging.array import Bytes

WIDTH, HEIGHT = 1200, 900


@dataclass(frozen=True, slots=True)
class View:
    """Degrees to the right of the front, and above the ground."""

    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class _Panel:
    left: int
    top: int
    width: int
    height: int


_LAYOUTS = (
    (
        _Panel(0, 0, 794, 900),
        _Panel(800, 0, 400, 296),
        _Panel(800, 302, 400, 296),
        _Panel(800, 604, 400, 296),
    ),
    (
        _Panel(0, 0, 1200, 594),
        _Panel(0, 600, 396, 300),
        _Panel(402, 600, 396, 300),
        _Panel(804, 600, 396, 300),
    ),
)
"""The small views beside the large one, or below it."""

Views: TypeAlias = tuple[View, View, View, View]

ROUND: Views = (View(-30, 12), View(0, 6), View(80, 8), View(148, 14))
"""Views of an object with a back: large from the left; from the front, the side and behind."""

LYING: Views = (View(-24, 42), View(0, 12), View(148, 30), View(0, 80))
"""Views of what lies low on the ground."""

GROUP: Views = (View(-14, 24), View(0, 8), View(164, 24), View(0, 70))
"""Views of things that stand side by side."""

FLAT: Views = (View(-28, 14), View(0, 4), View(40, 10), View(-20, 50))
"""Views of a plaque, whose back has nothing to show."""


def draw_preview(
    studio: Studio, views: Views = ROUND, *, between: Callable[[float], None] = lambda share: None
) -> Bytes:
    """``(900, 1200, 3)``: the first view large, the others small, laid out so that the first shows
    the surface as large as can be. Before each view
    ``between`` is called with the share of the work that is done; it may raise to stop it."""
    sheet = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    panels = max(_LAYOUTS, key=lambda layout: _camera(studio, views[0], layout[0]).focal)
    for number, (panel, view) in enumerate(zip(panels, views, strict=True)):
        between((number > 0) * 0.4 + 0.2 * number)
        drawn = studio.photograph(_camera(studio, view, panel), FINE)
        sheet[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width] = drawn
    return sheet


def _camera(studio: Studio, view: View, panel: _Panel) -> Camera:
    points = studio.surface.points
    return frame(points, view.yaw, view.pitch, panel.width, panel.height, FILL)
