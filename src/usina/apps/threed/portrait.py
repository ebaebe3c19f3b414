"""Where the person of a portrait probably is: head and shoulders around a face.

A face is believed only where an eye is found in it, since the cascade alone sees faces in
upholstery (Viola and Jones, CVPR 2001).
"""

import cv2
import cv2.data
import numpy as np

from usina.imaging.array import Bytes, Field

_MIN_FACE = 0.08
"""Smallest width of a face that makes a picture a portrait, as a share of the short side."""


def portrait(rgb: Bytes) -> Field | None:
    """``(h, w)`` of 0 to 1, high on the head and the shoulders; None without a sure face."""
    face = _face(rgb)
    if face is None:
        return None
    left, top, size = face
    height, width = rgb.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    across = (columns - (left + size / 2)) / size
    down = (rows - (top + size / 2)) / size
    head = (across / 0.72) ** 2 + ((down + 0.12) / 0.95) ** 2 < 1
    half = np.clip(0.35 + 1.5 * (down - 0.55), 0.35, 1.35)
    shoulders = (down > 0.4) & (np.abs(across) < half)
    inner = (across / 0.5) ** 2 + (down / 0.62) ** 2 < 1
    return np.where(inner, 1.0, np.where(head | shoulders, 0.6, 0.0))


def _face(rgb: Bytes) -> tuple[float, float, float] | None:
    """Left, top and width in pixels of the largest square that holds a face with an eye."""
    grey = cv2.equalizeHist(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    smallest = max(24, round(_MIN_FACE * min(grey.shape)))
    faces = _cascade("haarcascade_frontalface_default.xml").detectMultiScale(
        grey, scaleFactor=1.1, minNeighbors=6, minSize=(smallest, smallest)
    )
    eyes = _cascade("haarcascade_eye.xml")
    for left, top, size, _ in sorted(np.asarray(faces).reshape(-1, 4).tolist(), key=_by_size):
        upper = grey[top : top + round(0.6 * size), left : left + size]
        if len(eyes.detectMultiScale(upper, scaleFactor=1.05, minNeighbors=4)):
            return left, top, size
    return None


def _by_size(box: list[int]) -> int:
    return -box[2]


def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + name)
