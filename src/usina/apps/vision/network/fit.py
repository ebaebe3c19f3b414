"""A picture brought to the size that a network takes, and boxes brought back."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from usina.imaging.array import Anything, Bytes, Field32

Place = Literal["centre", "corner", "stretch"]
"""Where the picture lies: whole in the middle of a grey sheet, in its upper left corner, or over
all of it, out of shape."""

_GREY = 114


@dataclass(frozen=True, slots=True)
class Canvas:
    """A network's picture of ``width`` x ``height``, and where in it lies what was shown: ``x`` of
    the canvas is ``left + across * x`` of the picture; alike for ``y``."""

    width: int
    height: int
    left: float
    top: float
    across: float
    down: float
    full_width: int
    full_height: int

    def boxes(self, corners: Field32) -> Field32:
        """Boxes ``(n, 4)`` from corners on the canvas to left, top, right, bottom in the picture,
        cut off at its rim."""
        back = corners - np.array([self.left, self.top] * 2, np.float32)
        back /= np.array([self.across, self.down] * 2, np.float32)
        return self.inside(back)

    def inside(self, corners: Field32) -> Field32:
        """Boxes in the picture cut off at its rim."""
        most = np.array([self.full_width, self.full_height] * 2, np.float32)
        return np.clip(corners, 0, most)


@dataclass(frozen=True, slots=True)
class Sight:
    """How a network wants its picture: ``colours`` as ``rgb`` or ``bgr``; a value is ``(v - mean) *
    factor`` of 0 to 255."""

    place: Place
    colours: Literal["rgb", "bgr"] = "rgb"
    factor: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    mean: tuple[float, float, float] = (0, 0, 0)

    def show(self, rgb: Bytes, canvas: Canvas, number: type[np.floating[Any]]) -> Anything:
        """``(1, 3, height, width)``."""
        sheet = self._laid(rgb, canvas)
        blob: Field32 = cv2.dnn.blobFromImage(
            sheet, self.factor[0], mean=self.mean, swapRB=self.colours == "bgr"
        ).astype(np.float32, copy=False)
        if len(set(self.factor)) > 1:
            blob *= (np.array(self.factor, np.float32) / self.factor[0])[:, None, None]
        return blob.astype(number, copy=False)

    def _laid(self, rgb: Bytes, canvas: Canvas) -> Bytes:
        height, width = rgb.shape[:2]
        shown = round(width * canvas.across), round(height * canvas.down)
        if shown != (width, height):
            rgb = cv2.resize(rgb, shown, interpolation=cv2.INTER_LINEAR).astype(
                np.uint8, copy=False
            )
        if shown == (canvas.width, canvas.height):
            return rgb
        sheet = np.full((canvas.height, canvas.width, 3), _GREY, np.uint8)
        top, left = _rounded(canvas.top), _rounded(canvas.left)
        sheet[top : top + shown[1], left : left + shown[0]] = rgb
        return sheet


def fixed(rgb: Bytes, width: int, height: int, place: Place) -> Canvas:
    """On a canvas of that size."""
    full_height, full_width = rgb.shape[:2]
    if place == "stretch":
        return Canvas(
            width, height, 0, 0, width / full_width, height / full_height, full_width, full_height
        )
    scale = min(width / full_width, height / full_height)
    left, top = width - round(full_width * scale), height - round(full_height * scale)
    return Canvas(
        width,
        height,
        _rounded(left / 2) if place == "centre" else 0,
        _rounded(top / 2) if place == "centre" else 0,
        scale,
        scale,
        full_width,
        full_height,
    )


def fitting(rgb: Bytes, longest: int, stride: int, place: Place) -> Canvas:
    """On a canvas of the picture's own shape, ``longest`` pixels long, each side a multiple of the
    ``stride``: less of it is grey, so there is less to compute."""
    full_height, full_width = rgb.shape[:2]
    scale = longest / max(full_width, full_height)
    width, height = (
        max(1, -(-round(side * scale) // stride)) * stride for side in (full_width, full_height)
    )
    return fixed(rgb, width, height, place)


def _rounded(half: float) -> int:
    """Half a pixel goes to the left and the top."""
    return round(half - 0.1)
