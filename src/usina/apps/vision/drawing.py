"""What was found, drawn over the frame: boxes with names, tails of what moves, lines and zones."""

import zlib
from collections import deque
from collections.abc import Sequence
from colorsys import hsv_to_rgb
from functools import lru_cache
from typing import Final, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from usina.apps.vision.detection import Box, Detection, scaled
from usina.apps.vision.scene.line import Line
from usina.apps.vision.scene.place import Point
from usina.apps.vision.scene.zone import Zone
from usina.imaging.array import Bytes

Colour: TypeAlias = tuple[int, int, int]

LONGEST: Final = 1920
"""Pixels of a drawn film's longer side; what is larger is drawn smaller."""

_WHITE: Final = (255, 255, 255)
_MARK: Final = (255, 196, 0)
_HUES: Final = 36
_TAIL: Final = 24
_SHADE: Final = 0.18


class Artist:
    """Draws frames of one film, in order; lengths follow the size of the picture. ``scale`` is how
    large a pixel of the file is drawn."""

    def __init__(
        self, width: int, height: int, lines: Sequence[Line], zones: Sequence[Zone]
    ) -> None:
        self.scale = min(1.0, LONGEST / max(width, height))
        self.width = max(1, round(width * self.scale))
        self.height = max(1, round(height * self.scale))
        self._lines, self._zones = lines, zones
        self._thick = max(1, round(min(self.width, self.height) / 300))
        self._letters = max(11, round(min(self.width, self.height) / 32))
        self._tails: dict[int, deque[Point]] = {}

    def draw(self, rgb: Bytes, found: Sequence[Detection]) -> Bytes:
        """A drawing of the frame, which stays as it is."""
        sheet = self._sheet(rgb)
        for zone in self._zones:
            self._zone(sheet, zone)
        for line in self._lines:
            self._line(sheet, line)
        self._move(found)
        for each in sorted(found, key=lambda each: each.confidence):
            self._box(sheet, each)
        return sheet

    def _sheet(self, rgb: Bytes) -> Bytes:
        if rgb.shape[:2] == (self.height, self.width):
            return rgb.copy()
        size = self.width, self.height
        larger = self.width > rgb.shape[1]
        method = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
        return cv2.resize(rgb, size, interpolation=method).astype(np.uint8, copy=False)

    def _move(self, found: Sequence[Detection]) -> None:
        """The tails of what is seen grow; those of what is gone end."""
        seen: dict[int, deque[Point]] = {}
        for each in found:
            if each.track_id is not None:
                tail = self._tails.get(each.track_id) or deque(maxlen=_TAIL)
                left, top, width, height = scaled(each.box, self.scale)
                tail.append((left + width / 2, top + height))
                seen[each.track_id] = tail
        self._tails = seen

    def _box(self, sheet: Bytes, each: Detection) -> None:
        colour = colour_of(each.class_name)
        left, top, right, bottom = _corners(scaled(each.box, self.scale))
        tail = self._tails.get(each.track_id or 0)
        if tail is not None and len(tail) > 1:
            cv2.polylines(sheet, [_whole(tail)], False, colour, self._thick, cv2.LINE_AA)
        cv2.rectangle(sheet, (left, top), (right, bottom), colour, self._thick, cv2.LINE_AA)
        number = "" if each.track_id is None else f" {each.track_id}"
        self._write(sheet, f"{each.class_name}{number}  {each.confidence:.2f}", (left, top), colour)

    def _line(self, sheet: Bytes, line: Line) -> None:
        start, end = (_drawn(there, self.scale) for there in (line.start, line.end))
        cv2.line(sheet, start, end, _MARK, 2 * self._thick, cv2.LINE_AA)
        counts = "  ".join(
            f"{direction} {count.total()}" for direction, count in line.crossings.items()
        )
        highest = min(start, end, key=lambda there: there[1])
        self._write(sheet, f"{line.name}  {counts}", highest, _MARK)

    def _zone(self, sheet: Bytes, zone: Zone) -> None:
        corners = _whole([(x * self.scale, y * self.scale) for x, y in zone.corners])
        shade = sheet.copy()
        cv2.fillPoly(shade, [corners], _MARK, cv2.LINE_AA)
        cv2.addWeighted(shade, _SHADE, sheet, 1 - _SHADE, 0, dst=sheet)
        cv2.polylines(sheet, [corners], True, _MARK, self._thick, cv2.LINE_AA)
        lowest = int(corners[:, 0].min()), int(corners[:, 1].max())
        self._write(sheet, f"{zone.name}  {zone.inside}", lowest, _MARK)

    def _write(self, sheet: Bytes, words: str, place: tuple[int, int], colour: Colour) -> None:
        """A label above the place, moved into the picture where it does not fit."""
        label = _label(words, colour, self._letters)
        height, width = min(label.shape[0], self.height), min(label.shape[1], self.width)
        left = max(0, min(place[0], self.width - width))
        top = max(0, min(place[1] - height, self.height - height))
        sheet[top : top + height, left : left + width] = label[:height, :width]


@lru_cache(maxsize=2048)
def colour_of(class_name: str) -> Colour:
    """The same for a class wherever it is drawn."""
    hue = zlib.crc32(class_name.encode()) % _HUES / _HUES
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(hue, 0.85, 0.8))
    return red, green, blue


@lru_cache(maxsize=2048)
def _label(words: str, colour: Colour, letters: int) -> Bytes:
    font = ImageFont.load_default(letters)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(words))
    rim = max(2, letters // 4)
    size = right - left + 2 * rim, max(bottom, letters) - min(top, 0) + rim
    picture = Image.new("RGB", size, colour)
    ink = _WHITE if sum(colour) < 450 else (20, 20, 20)
    ImageDraw.Draw(picture).text((rim - left, rim // 2), words, fill=ink, font=font)
    return np.asarray(picture)


def _corners(box: Box) -> tuple[int, int, int, int]:
    left, top, width, height = box
    return round(left), round(top), round(left + width), round(top + height)


def _drawn(there: Point, scale: float) -> tuple[int, int]:
    return round(there[0] * scale), round(there[1] * scale)


def _whole(points: Sequence[Point]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
    return np.array(points, np.float64).round().astype(np.int32)
