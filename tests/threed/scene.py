"""Pictures whose object is known exactly, and real ones that come with scikit-image."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from usina.apps.threed.mask import Mask, find_mask
from usina.imaging.array import Bits, Bytes, Field
from usina.imaging.opencv import blur, resize
from usina.imaging.picture import Picture, open_picture

RED = np.array([170.0, 35.0, 45.0])


def sample(name: str) -> Path:
    """A picture out of scikit-image's own wheel, found without loading it."""
    spec = find_spec("skimage")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / name


@cache
def real(name: str) -> tuple[Picture, Mask]:
    picture = open_picture(sample(name))
    return picture, find_mask(picture)


def disc(width: int, height: int, x: float, y: float, radius: float) -> Field:
    """``(height, width)``: how much of each pixel a disc covers, about."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    return np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1)


def blob(width: int = 400, height: int = 300, seed: int = 1) -> Field:
    """A wavy, lopsided shape in the middle."""
    wave = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    across, down = columns - 0.5 * width, rows - 0.5 * height
    angle = np.arctan2(down, across)
    radius = 0.27 * min(width, height) * np.ones_like(angle)
    for turns in (2, 3, 5):
        radius += (8.0 / turns) * np.sin(turns * angle + wave.uniform(0, 6))
    return np.clip(radius - np.hypot(across, down) + 0.5, 0, 1)


def noise(height: int, width: int, grain: float, seed: int = 0) -> Field:
    """``(height, width)`` of soft random structure about 0, at most about 1."""
    values = blur(np.random.default_rng(seed).standard_normal((height, width)), grain)
    return values / np.abs(values).max()


def paint(cover: Field, front: Field, back: Field) -> Bytes:
    """``front`` over ``back``, both colours or pictures, where ``cover`` is 1."""
    share = cover[..., None]
    pixels = share * front + (1 - share) * back
    return np.clip(np.broadcast_to(pixels, (*cover.shape, 3)), 0, 255).astype(np.uint8)


def shaded(cover: Field, back: Field, dark: float, soft: float) -> Field:
    """``back`` with the soft shadow of a shape that hovers over it, down to the right."""
    shadow = blur(np.roll(cover, (28, 30), axis=(0, 1)), soft)
    return np.broadcast_to(back, (*cover.shape, 3)) * (1 - dark * shadow[..., None])


def picture_of(pixels: Bytes, alpha: Bytes | None = None) -> Picture:
    return Picture(pixels, alpha, pixels.shape[1], pixels.shape[0], ())


def saved(pixels: Bytes, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def overlap(mask: Mask, cover: Field) -> float:
    """Intersection over union with the true shape, on the true shape's pixels."""
    height, width = cover.shape
    return share(resize(mask.inside, width, height) > 0.5, cover > 0.5)


def share(one: Bits, other: Bits) -> float:
    return float((one & other).sum() / (one | other).sum())
