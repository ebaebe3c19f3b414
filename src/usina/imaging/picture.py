"""A picture out of hostile bytes.

Everything is asked of the header before anything is decoded; what only decoding finds comes out as
`usina_runner.InvalidInput` too, with one of the reasons ``image_unreadable``, ``image_truncated``,
``image_too_large``, ``image_too_small`` and ``image_too_narrow``.
"""

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from usina.imaging.array import Bytes
from usina.imaging.header import Header, read_header
from usina.imaging.notice import Notice
from usina_runner import InvalidInput

MAX_PIXELS = 64_000_000
MIN_SIDE = 16
MAX_ASPECT = 50
MAX_SCANS = 64
"""Passes over a progressive JPEG: encoders write about ten, a bomb asks for thousands."""

HELD_SIDE = 4096
"""The longest side that is ever kept in memory: that of the largest texture."""

_COARSE_SIDE = 256
_ORIENTATION = 0x0112
_SMOOTH = ("L", "LA", "RGB", "RGBA", "CMYK")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """``rgb`` is ``(height, width, 3)`` and ``alpha`` ``(height, width)`` or None where all is
    opaque, both upright and perhaps shrunk; ``full_width`` and ``full_height`` are the
    upright size of the file's own picture."""

    rgb: Bytes
    alpha: Bytes | None
    full_width: int
    full_height: int
    notices: tuple[Notice, ...]


def max_pixels() -> int:
    """The platform's limit ``USINA_MAX_IMAGE_PIXELS``, or its default."""
    return int(os.environ.get("USINA_MAX_IMAGE_PIXELS") or MAX_PIXELS)


def open_picture(path: Path, *, side: int = HELD_SIDE, limit: int | None = None) -> Picture:
    """Decode the first frame of a PNG, JPEG or WebP file of at most ``limit`` pixels, and keep it
    at most ``side`` pixels long."""
    header = read_header(path)
    if header is None:
        raise InvalidInput(
            "image_unreadable",
            "The image is no readable PNG, JPEG or WebP picture. Send one of these.",
        )
    _check(header, path.stat().st_size, max_pixels() if limit is None else limit)
    with _decoding(header), Image.open(path, formats=(header.format,)) as image:
        if image.size != (header.width, header.height) or not header.sound:
            raise _unreadable(header)
        animated = header.format != "JPEG" and bool(getattr(image, "is_animated", False))
        orientation = _orientation(image)
        _shrink_jpeg(image, side)
        image.load()
        small = _held(image, side)
    upright = small.transpose(_TURNS[orientation]) if orientation in _TURNS else small
    lying = orientation >= 5
    return Picture(
        rgb=np.ascontiguousarray(np.asarray(upright)[..., :3]),
        alpha=_alpha(upright),
        full_width=header.height if lying else header.width,
        full_height=header.width if lying else header.height,
        notices=_notices(header, animated=animated),
    )


def _check(header: Header, size_bytes: int, limit: int) -> None:
    width, height = header.width, header.height
    if width * height > limit:
        raise InvalidInput(
            "image_too_large",
            f"The image has {width} x {height} pixels; at most {limit} are taken. Scale it down.",
        )
    if size_bytes > 8 * limit:
        raise InvalidInput(
            "image_too_large",
            f"The image file has {size_bytes} bytes, more than {limit} pixels can need.",
        )
    if min(width, height) < MIN_SIDE:
        raise InvalidInput(
            "image_too_small",
            f"The image has {width} x {height} pixels; each side needs at least {MIN_SIDE}.",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidInput(
            "image_too_narrow",
            f"The image has {width} x {height} pixels; its long side may be at most "
            f"{MAX_ASPECT} times the short one. Crop it.",
        )
    if header.scans > MAX_SCANS:
        raise InvalidInput(
            "image_unreadable",
            f"The JPEG asks for {header.scans} passes; at most {MAX_SCANS} are taken. "
            "Save it again as a plain JPEG.",
        )


@contextmanager
def _decoding(header: Header) -> Generator[None]:
    """Inside, whatever a decoder raises over hostile bytes becomes a typed refusal."""
    pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InvalidInput, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(header, cut="truncated" in str(error).lower()) from error
    finally:
        Image.MAX_IMAGE_PIXELS = pillow_limit


def _unreadable(header: Header, *, cut: bool = False) -> InvalidInput:
    if cut or not header.complete:
        return InvalidInput(
            "image_truncated",
            f"The {header.format} picture ends before its data does. Upload it again whole.",
        )
    return InvalidInput(
        "image_unreadable",
        f"The {header.format} picture is damaged and cannot be decoded. Save it again.",
    )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1 to 8; 1 where the EXIF block is missing or broken."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # the block is hostile too, and the picture does without it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _shrink_jpeg(image: Image.Image, side: int) -> None:
    """Let libjpeg decode a large picture at 1/2, 1/4 or 1/8, no smaller than what is held."""
    factor = max(1, max(image.size) // side)
    image.draft(None, (image.width // factor, image.height // factor))


def _eight_bit(image: Image.Image) -> Image.Image:
    """The picture as RGB or RGBA; 16-bit grey keeps its upper 8 bits instead of being clipped."""
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _held(image: Image.Image, side: int) -> Image.Image:
    """The picture as RGB or RGBA, at most ``side`` long; shrunk before it is converted where
    its values can be averaged as they are."""
    longest = max(image.size)
    if longest <= side:
        return _eight_bit(image)
    smooth = image.mode in _SMOOTH and "transparency" not in image.info
    width, height = (max(1, round(length * side / longest)) for length in image.size)
    small = (image if smooth else _eight_bit(image)).resize(
        (width, height), Image.Resampling.BICUBIC, reducing_gap=2.0
    )
    return _eight_bit(small)


def _alpha(image: Image.Image) -> Bytes | None:
    if image.mode != "RGBA":
        return None
    alpha = np.array(image.getchannel("A"))
    return None if alpha.min() == 255 else alpha


def _notices(header: Header, *, animated: bool) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    if animated:
        notices.append(
            Notice("image_animated", "The picture is animated; its first frame is used.")
        )
    if max(header.width, header.height) < _COARSE_SIDE:
        notices.append(
            Notice(
                "image_small",
                f"The picture has only {header.width} x {header.height} pixels, so the result is "
                f"coarse; {_COARSE_SIDE} or more on the long side look better.",
            )
        )
    return tuple(notices)
