"""How light a person is, for styles with few tones."""

from typing import Final

import numpy as np

from usina.apps.avatars.style.sitter import Sitter
from usina.apps.avatars.style.tool import luma, smooth, soft
from usina.imaging.array import Reals

_SHARES: Final = (4, 12, 30, 60, 95)
_TONES: Final = (0.0, 0.14, 0.28, 0.46, 0.70, 0.93, 1.0)
"""Black, the tones below which those shares of the face lie, in percent, and white."""


def face_tone(sitter: Sitter) -> Reals:
    """How light everything is, without texture, and spread so that each face has shadows, middle
    tones and lights in the same proportions, whatever the skin, the clothes and the light."""
    calm = luma(smooth(sitter.person, 1 / 150, 0.002))
    local = calm + 0.8 * (calm - soft(calm, 1 / 20))
    weight = sitter.cover > 0.5
    low, high = np.percentile(local[weight] if weight.any() else local, [1.0, 99.0])
    left, top, width, height = (round(side) for side in sitter.face)
    rows = slice(max(0, top + height // 5), max(1, top + height * 19 // 20))
    columns = slice(max(0, left + width // 5), max(1, left + width * 4 // 5))
    middle = np.percentile(local[rows, columns], _SHARES)
    places = np.maximum.accumulate([low, *middle, high]) + np.arange(7) * 1e-4
    return np.interp(local, places, _TONES).astype(np.float32)
