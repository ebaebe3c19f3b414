"""The colours of particles, the same in the picture and in the model."""

from typing import Final

import numpy as np

from usina.apps.cfd.particles import Particles
from usina.imaging.array import Field, Indices

PALETTE: Final = (
    (242, 193, 78),
    (231, 111, 81),
    (42, 157, 143),
    (69, 123, 157),
    (233, 236, 239),
    (120, 170, 205),
)
"""sRGB, 0 to 255."""


def shades(particles: Particles) -> Indices:
    """``(n,)``: which of the palette each particle has, scattered so that neighbours differ."""
    number = np.arange(len(particles), dtype=np.uint64)
    mixed = (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(40)) % np.uint64(len(PALETTE))).astype(np.int64)


def linear(colour: tuple[int, int, int]) -> Field:
    """The light of an sRGB colour, 0 to 1 (IEC 61966-2-1)."""
    level = np.array(colour, dtype=np.float64) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
