"""Every style by the name that a caller chooses."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from usina.apps.avatars.style import brushed, drawn, photo, printed
from usina.apps.avatars.style.sitter import Sitter
from usina.imaging.array import Bytes, Reals

Style = Callable[[Sitter], Reals]

STYLES: Final[Mapping[str, Style]] = {
    "studio": photo.studio,
    "color": photo.color,
    "high-key": photo.high_key,
    "classic": photo.classic,
    "cinematic": photo.cinematic,
    "duotone": photo.duotone,
    "pencil": drawn.pencil,
    "ink": drawn.ink,
    "cartoon": drawn.cartoon,
    "oil": brushed.oil,
    "watercolor": brushed.watercolor,
    "pop-art": printed.pop_art,
    "poster": printed.poster,
    "newsprint": printed.newsprint,
}
"""In the order in which they are shown."""


def apply(style: str, sitter: Sitter) -> Bytes:
    """The avatar ``(s, s, 3)``; the same sitter gives the same pixels."""
    return (np.clip(STYLES[style](sitter), 0, 1) * 255 + 0.5).astype(np.uint8)
