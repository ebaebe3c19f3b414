"""What styles are made with. Pictures are ``(s, s, 3)`` and planes ``(s, s)`` of 0 to 1, in sRGB;
lengths that grow with the picture are shares of its side, so that both sizes look alike."""

from typing import TypeAlias

import cv2
import numpy as np

from usina.imaging.array import Reals

Colour: TypeAlias = tuple[float, float, float]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def colour(code: str) -> Colour:
    """``#rrggbb`` as shares."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def luma(picture: Reals) -> Reals:
    """How light it looks (Rec. 601)."""
    return (picture @ _LUMA).astype(np.float32)


def soft(values: Reals, share: float) -> Reals:
    """Gaussian blur; its sigma is a share of the side."""
    sigma = max(0.3, share * values.shape[0])
    return cv2.GaussianBlur(values, (0, 0), sigma).astype(np.float32, copy=False)


def smooth(picture: Reals, share: float, epsilon: float) -> Reals:
    """Without fine texture but with its edges (guided by itself)."""
    radius = max(1, round(share * picture.shape[0]))
    out = cv2.ximgproc.guidedFilter(picture, picture, radius, epsilon)
    return out.astype(np.float32, copy=False)


def retouched(picture: Reals, strength: float) -> Reals:
    """Skin a little calmer, eyes and hair as they are: only faint texture is taken away."""
    calm = smooth(picture, 1 / 90, 0.0025)
    return picture + strength * (calm - picture)


def contrast(values: Reals, strength: float) -> Reals:
    """An S-curve through 0, 1/2 and 1; 0 changes nothing, 1 is strong."""
    held = np.clip(values, 0, 1)
    return held + strength * (held * held * (3 - 2 * held) - held)


def saturated(picture: Reals, factor: float) -> Reals:
    grey = luma(picture)[..., None]
    return grey + factor * (picture - grey)


def clear(picture: Reals, strength: float) -> Reals:
    """Local contrast: what differs from its surroundings differs more."""
    return np.clip(picture + strength * (picture - soft(picture, 1 / 28)), 0, 1)


def ramp(values: Reals, stops: list[tuple[float, Colour]]) -> Reals:
    """A picture whose colours run through the ``stops`` as the plane's values grow."""
    places = [place for place, _ in stops]
    bands = [np.interp(values, places, [shade[band] for _, shade in stops]) for band in range(3)]
    return np.dstack(bands).astype(np.float32)


def spread(values: Reals, low: float = 1.0, high: float = 99.0) -> Reals:
    """Stretched so that the given percentiles become 0 and 1."""
    least, most = np.percentile(values[::2, ::2], [low, high])
    return np.clip((values - least) / max(1e-3, most - least), 0, 1).astype(np.float32)


def steps(values: Reals, edge: float, width: float) -> Reals:
    """0 below ``edge``, 1 above it, and smooth over ``width``."""
    part = np.clip((values - edge) / width + 0.5, 0, 1)
    return (part * part * (3 - 2 * part)).astype(np.float32)


def glow(size: int, centre: tuple[float, float], reach: float) -> Reals:
    """A plane that is 1 at the ``centre`` (shares, x first) and fades to 0 at ``reach``."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    away = np.hypot(columns - centre[0], rows - centre[1]) / reach
    part = np.clip(1 - away, 0, 1)
    return (part * part * (3 - 2 * part)).astype(np.float32)


def cloud(dice: np.random.Generator, size: int, coarse: int, octaves: int = 4) -> Reals:
    """Soft noise around 0, about 1 at most; alike at every size for the same dice."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cells = min(size, coarse << octave)
        values = dice.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
    return (total / np.abs(total).max()).astype(np.float32)


def grain(dice: np.random.Generator, size: int, strength: float) -> Reals:
    """The noise of film, as coarse at 1024 pixels as at 512."""
    noise = dice.standard_normal((512, 512)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.7)
    wide = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return (strength * wide / wide.std()).astype(np.float32)


def lines(plane: Reals, share: float, sharpness: float, threshold: float) -> Reals:
    """0 on drawn lines and 1 beside them: extended differences of Gaussians (Winnemöller and
    others, 2012); ``share`` is the width of a line."""
    fine, coarse = soft(plane, share), soft(plane, 1.6 * share)
    edge = (1 + sharpness) * fine - sharpness * coarse
    dark = 1 + np.tanh(14.0 * (edge - threshold))
    return np.where(edge >= threshold, 1.0, dark).astype(np.float32)


def painted(picture: Reals, share: float, sharpness: float = 10.0) -> Reals:
    """Flat strokes with clear borders: of eight places around each pixel the calmest give their
    mean (Papari, Petkov and Campisi, 2007), each place being one look at a single blur."""
    radius = max(1.0, share * picture.shape[0])
    mean = cv2.GaussianBlur(picture, (0, 0), 0.55 * radius)
    square = cv2.GaussianBlur(picture * picture, (0, 0), 0.55 * radius)
    unrest = np.maximum((square - mean * mean).sum(axis=2), 1e-7)
    size = picture.shape[0]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    total: Reals = np.zeros(picture.shape, np.float32)
    weights: Reals = np.zeros(picture.shape[:2], np.float32)
    for turn in np.arange(8) * (np.pi / 4):
        x = columns + np.float32(radius * np.cos(turn))
        y = rows + np.float32(radius * np.sin(turn))
        there = _look(mean.astype(np.float32), x, y)
        restless = _look(unrest, x, y)
        weight = (restless * 400 + 0.02) ** (-sharpness / 2)
        total += there * weight[..., None]
        weights += weight
    return (total / weights[..., None]).astype(np.float32)


def _look(values: Reals, x: Reals, y: Reals) -> Reals:
    """The values at places between pixels, mirrored beyond the rim."""
    border = cv2.BORDER_REFLECT_101
    there = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(there, dtype=np.float32)


def strokes(picture: Reals, dice: np.random.Generator, length: float) -> Reals:
    """Noise combed along the picture's edges, around 0: the bristles of a brush."""
    size = picture.shape[0]
    grey = soft(luma(picture), 1 / 170)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (
        soft(np.asarray(each, np.float32), 1 / 50) for each in (dx * dx, dy * dy, dx * dy)
    )
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    along, down = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    noise = cloud(dice, size, size // 4, 1)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    total = noise.copy()
    step = np.float32(length * size / 6)
    for way in (np.float32(-1), np.float32(1)):
        x, y = columns.copy(), rows.copy()
        for _ in range(6):
            x += way * step * _look(along, x, y)
            y += way * step * _look(down, x, y)
            total += _look(noise, x, y)
    return (total / total.std()).astype(np.float32)


def dots(size: int, pitch: float, degrees: float) -> Reals:
    """A screen of round dots for halftones: 0 in the middle of each, 1 between; ``pitch`` is a
    share of the side."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    turn = np.deg2rad(degrees)
    step = 2 * np.pi / (pitch * size)
    u = (columns * np.cos(turn) + rows * np.sin(turn)) * step
    v = (-columns * np.sin(turn) + rows * np.cos(turn)) * step
    return (0.5 - 0.25 * (np.cos(u) + np.cos(v))).astype(np.float32)
