"""A picture as a relief that rises with its lightness.

Lightness is not height, so it is made to behave like it: its broad steps are smoothed along the
picture's own edges and pressed together, its fine ones are kept, as on a coin.
"""

import numpy as np

from usina.apps.threed.inflate import inflate
from usina.apps.threed.interpolate import between_points, pixel_centres
from usina.apps.threed.option import ReliefOption
from usina.apps.threed.plaque import Frame, Plaque
from usina.imaging.array import Bytes, Field
from usina.imaging.opencv import blur, guided_filter, to_lab

_FINE_LIMIT = 0.1
_LEAST_SPREAD = 0.15
_STEP, _DOME, _GROUND = 0.15, 0.6, 0.06
_CALM = 0.025
_FRAME_HEIGHT = 0.85


def carve(rgb: Bytes, inside: Field | None, option: ReliefOption) -> Plaque:
    """Carve a working picture; with ``inside`` only what that covers stands out of the ground."""
    light = to_lab(rgb)[..., 0] / 100
    height = _as_height(rgb, 1 - light if option.invert else light, option)
    if inside is not None:
        height = _raise(height, inside)
    longest = max(height.shape) / (1 - 2 * option.frame)
    frame = None
    if option.frame > 0:
        height = _calmed(height)
        frame = Frame(
            option.frame * longest, longest * (option.base + option.depth * _FRAME_HEIGHT)
        )
    return Plaque(longest * (option.base + option.depth * height), frame)


def _as_height(rgb: Bytes, light: Field, option: ReliefOption) -> Field:
    """0 to 1."""
    radius = 2 + round(6 * option.smoothing)
    clear = guided_filter(rgb, light, radius, 1e-4 + 4e-3 * option.smoothing)
    broad = guided_filter(rgb, light, round(0.03 * max(light.shape)), 0.02)
    fine = _FINE_LIMIT * np.tanh((clear - broad) / _FINE_LIMIT)
    height = 0.75 * broad + (0.2 + 1.8 * option.detail) * fine
    low, high = np.quantile(height, (0.005, 0.995))
    height = (height - low) / max(float(high - low), _LEAST_SPREAD)
    return blur(np.clip(height, 0, 1), 0.6 + 2.5 * option.smoothing)


def _raise(height: Field, inside: Field) -> Field:
    """The object as a dome of its own with its relief on it, the rest nearly flat; the step up to
    it lies on the object's side of the contour, so that no background climbs it."""
    balloon = inflate(inside, depth=1.0, faces=4000)
    at = pixel_centres(*height.shape)
    dome = between_points(balloon.sheet.points, balloon.height[:, None], at).reshape(height.shape)
    dome = blur(dome / max(float(dome.max()), 1e-9), 1.0)
    cover = np.clip(2 * blur(inside, 1.5) - 1, 0, 1)
    body = _STEP + _DOME * dome + (1 - _STEP - _DOME) * height
    return cover * body + (1 - cover) * _GROUND * height


def _calmed(height: Field) -> Field:
    """Coming to rest at one level along the picture's edges, where the frame begins."""
    rows, columns = height.shape
    edge = np.concatenate([height[0], height[-1], height[:, 0], height[:, -1]])
    level = float(np.median(edge))
    x, y = np.arange(0.0, columns)[None, :], np.arange(0.0, rows)[:, None]
    away = np.minimum(np.minimum(x, columns - 1 - x), np.minimum(y, rows - 1 - y))
    share = np.clip(away / (_CALM * max(rows, columns)), 0, 1)
    return level + (height - level) * share**2 * (3 - 2 * share)
