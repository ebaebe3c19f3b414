"""The part of a picture that a surface wears."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from usina.imaging.array import Bits, Bytes, Field, Field32
from usina.imaging.opencv import dilate, distance, halve, resize, stretch

_QUALITY = 92
_MARGIN = 0.02
_RING = 0.03
_STRIP = 16
_PLAIN = (233, 228, 218)
_SEAM, _SEAM_AT_LEAST, _SEAM_AT_MOST = 1.6, 1.5, 3.0
"""How many pixels of the picture inside the contour a colour is trusted from; nearer to it, it is
mixed with the background's. The limits are in pixels of the mask."""


@dataclass(frozen=True, slots=True)
class Texture:
    """``pixels`` cover the rectangle ``left, top, width, height`` in pixels of the mask; with a
    ``back``, its right half is a second copy of that rectangle for what is seen from behind."""

    pixels: Bytes
    left: float
    top: float
    width: float
    height: float
    back: bool = False

    def place(self, points: Field, behind: Bits) -> Field:
        """Where points of the sheet (``(n, ..., 2)``, x right and y down) lie in the texture;
        ``behind`` ``(n,)`` says which belong to the back."""
        corner, extent = np.array([self.left, self.top]), np.array([self.width, self.height])
        shares = np.clip((points - corner) / extent, 0, 1)
        if not self.back:
            return shares
        edge = 1 / self.pixels.shape[1]
        across = np.clip(shares[..., 0], edge, 1 - edge) / 2
        across[behind] += 0.5
        return np.stack([across, shares[..., 1]], axis=-1)


def cut_texture(rgb: Bytes, inside: Field, size: int, *, plain_back: bool) -> Texture:
    """The picture around the object, at most ``size`` pixels long; from just inside the contour
    the object's colours are carried outwards, so that none of the background shows at the rim.
    A plain back has only the colours along the contour, carried inwards too."""
    bits = inside > 0.5
    height, width = bits.shape
    left, top, right, bottom = _bounds(bits)
    box = (left / width, top / height, right / width, bottom / height)
    pixels = crop(rgb, box, _at_most(rgb, box, size // 2 if plain_back else size))
    seam = float(np.clip(_SEAM * width / rgb.shape[1], _SEAM_AT_LEAST, _SEAM_AT_MOST))
    known = _trusted(bits, seam)
    front = spread(pixels, _fit(known, (left, top, right, bottom), pixels))
    if plain_back:
        ring = known & (distance(bits) < seam + _RING * max(height, width))
        back = spread(pixels, _fit(ring, (left, top, right, bottom), pixels))
        front = np.concatenate([front, back], axis=1)
    return Texture(front, left, top, right - left, bottom - top, plain_back)


def _bounds(bits: Bits) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the object with a margin, inside the picture."""
    height, width = bits.shape
    columns, rows = np.flatnonzero(bits.any(axis=0)), np.flatnonzero(bits.any(axis=1))
    margin = int(np.ceil(_MARGIN * max(height, width)))
    left, top = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
    right, bottom = int(columns[-1]) + 1 + margin, int(rows[-1]) + 1 + margin
    return left, top, min(width, right), min(height, bottom)


def _fit(bits: Bits, box: tuple[int, int, int, int], pixels: Bytes) -> Bits:
    """A part of a mask at the size of a picture of that part; where that is smaller, only what
    is covered wholly."""
    left, top, right, bottom = box
    part = bits[top:bottom, left:right].astype(np.float64)
    least = 0.5 if pixels.shape[1] >= right - left else 0.99
    return resize(part, pixels.shape[1], pixels.shape[0]) > least


def whole_texture(rgb: Bytes, extent: tuple[int, int], size: int) -> tuple[Texture, Field]:
    """The whole picture, at most ``size`` pixels long, over a plaque ``extent`` (width, height)
    large; below it a strip of a plain colour for what is not picture, with the place in the
    texture where that colour is sure."""
    scale = min(1.0, (size - _STRIP) / max(rgb.shape[:2]))
    inner = crop(rgb, (0, 0, 1, 1), (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)))
    height, width = inner.shape[:2]
    pixels = np.full((height + _STRIP, width, 3), _PLAIN, dtype=np.uint8)
    pixels[:height] = inner
    pixels[height : height + 2] = inner[-1:]
    share = height / len(pixels)
    return Texture(pixels, 0, 0, extent[0], extent[1] / share), np.array([0.5, (1 + share) / 2])


def crop(rgb: Bytes, box: tuple[float, float, float, float], wanted: tuple[int, int]) -> Bytes:
    """The part of a picture from ``left, top`` to ``right, bottom`` (shares of its sides) at
    ``wanted`` pixels of width and height."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = box
    small = Image.fromarray(rgb).resize(
        wanted,
        Image.Resampling.BICUBIC,
        box=(left * width, top * height, right * width, bottom * height),
        reducing_gap=3.0,
    )
    return np.array(small)


def _at_most(rgb: Bytes, box: tuple[float, float, float, float], size: int) -> tuple[int, int]:
    """Width and height of a part of a picture, scaled down to at most ``size`` pixels."""
    across, down = (box[2] - box[0]) * rgb.shape[1], (box[3] - box[1]) * rgb.shape[0]
    scale = min(1.0, size / max(across, down))
    return max(1, round(across * scale)), max(1, round(down * scale))


def _trusted(bits: Bits, seam: float) -> Bits:
    """The object without the pixels along its contour; thin parts keep their middle."""
    depth = distance(bits)
    core = depth > seam
    thin = bits & ~dilate(core, round(seam) + 2)
    return core | (thin & (depth > 1))


def encode_jpeg(pixels: Bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return file.getvalue()


def spread(pixels: Bytes, known: Bits) -> Bytes:
    """Fill what is not ``known`` smoothly from what is: averages of ever larger squares, taken
    back from coarse to fine (pull and push; Gortler and others, SIGGRAPH 1996)."""
    if known.all() or not known.any():
        return pixels
    weighted = np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=2).astype(np.float32)
    weighted *= known[..., None]
    filled = np.clip(_pull_push(weighted) + 0.5, 0, 255).astype(np.uint8)
    return np.where(known[..., None], pixels, filled)


def _pull_push(weighted: Field32) -> Field32:
    """Of ``(h, w, 4)``, a colour times its weight and the weight, the colour everywhere."""
    height, width = weighted.shape[:2]
    colour, weight = weighted[..., :3], weighted[..., 3:]
    if max(height, width) == 1:
        return (colour / np.maximum(weight, 1e-6)).astype(np.float32)
    coarse = halve(weighted) * np.float32(4)
    coarse /= np.maximum(coarse[..., 3:], np.float32(1))
    wide = stretch(_pull_push(coarse), width, height)
    wide *= 1 - weight
    wide += colour
    return wide
