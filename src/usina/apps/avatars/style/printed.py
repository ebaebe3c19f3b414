"""Styles out of a print shop: few inks, flat areas, dots."""

import numpy as np

from usina.apps.avatars.style.sitter import Sitter
from usina.apps.avatars.style.tone import face_tone
from usina.apps.avatars.style.tool import (
    Colour,
    clear,
    cloud,
    colour,
    contrast,
    dots,
    glow,
    lines,
    luma,
    ramp,
    soft,
    spread,
    steps,
)
from usina.imaging.array import Reals

_POP = (
    ("#ffd60a", "#2b2d8c", "#ff4d8d", "#ff9f7a", "#fff1e0"),
    ("#19d3c5", "#3d0f5e", "#f72585", "#ffb3a7", "#fff6ec"),
    ("#ff5d5d", "#14213d", "#2ec4b6", "#ffd7a8", "#fffaf0"),
    ("#8338ec", "#1b1b3a", "#fb5607", "#ffbe7d", "#fff4e2"),
)
_POSTER = ("#0a2f4e", "#d7352b", "#6f9aa8", "#fbe3a6")


def pop_art(sitter: Sitter) -> Reals:
    """Silkscreen: a loud backdrop with dots, flat tones, black lines; the seed chooses the inks."""
    size = sitter.size
    back, dark, warm, skin, light = (colour(code) for code in _POP[sitter.seed % len(_POP)])
    tone = face_tone(sitter)
    flat = _flats(tone, [0.16, 0.36, 0.66], [dark, warm, skin, light], 0.025)
    screen = dots(size, 1 / 62, 28)
    shade = np.clip((0.62 - soft(tone, 1 / 200)) * 2.2, 0, 1) * steps(tone, 0.42, 0.04)
    dotted = steps(shade * 0.75 - screen, 0.0, 0.10)[..., None]
    flat = flat * (1 - dotted) + np.array(warm, np.float32) * dotted
    behind = np.full((size, size, 3), back, np.float32)
    fade = np.clip(1.05 - 1.1 * glow(size, (0.5, 0.45), 0.85), 0, 0.8)
    spots = steps(fade - dots(size, 1 / 26, 45), 0.0, 0.06)[..., None]
    behind = behind * (1 - spots) + np.array(light, np.float32) * spots
    shown = sitter.before(behind, flat, sharp=True)
    drawn = lines(tone, 1 / 380, 18.0, 0.26)
    drawn = (1 - (1 - drawn) * sitter.sharp)[..., None]
    return np.clip(shown * drawn + np.array(dark) * 0.5 * (1 - drawn), 0, 1).astype(np.float32)


def poster(sitter: Sitter) -> Reals:
    """A campaign poster: four inks in flat areas, ruled where they meet."""
    size = sitter.size
    dark, red, blue, cream = (colour(code) for code in _POSTER)
    tone = face_tone(sitter)
    flat = _flats(tone, [0.18, 0.38, 0.60], [dark, red, blue, cream], 0.02)
    rows = np.mgrid[0:size, 0:size][0].astype(np.float32)
    ruled = 0.5 + 0.5 * np.cos(rows * (2 * np.pi / (size / 74)))
    band = np.clip(1 - np.abs(tone - 0.54) / 0.12, 0, 1)
    rule = (steps(ruled.astype(np.float32), 0.5, 0.35) * steps(band, 0.3, 0.2))[..., None]
    flat = flat * (1 - rule) + np.array(cream, np.float32) * rule
    columns = np.mgrid[0:size, 0:size][1]
    behind = np.where((columns < size / 2)[..., None], np.array(red), np.array(blue))
    return sitter.before(behind.astype(np.float32), flat, sharp=True)


def newsprint(sitter: Sitter) -> Reals:
    """One ink through a screen, on yellowed paper."""
    size = sitter.size
    backdrop = 0.62 + 0.25 * glow(size, (0.5, 0.4), 1.0)
    shown = sitter.before(np.repeat(backdrop[..., None], 3, axis=2), sitter.person)
    tone = contrast(clear(spread(luma(shown), 0.5, 99.2), 0.45), 0.3)
    screen = dots(size, 1 / 92, 45)
    printed = steps(0.06 + 0.94 * tone - (1 - screen) * 0.96, 0.0, 0.24)
    paper = 1 + 0.03 * cloud(sitter.dice(), size, 40, 3)
    sheet = ramp(printed, [(0.0, colour("#1d1b22")), (1.0, colour("#f3ead6"))])
    return np.clip(sheet * paper[..., None], 0, 1).astype(np.float32)


def _flats(tone: Reals, edges: list[float], inks: list[Colour], width: float) -> Reals:
    """The ``inks`` from dark to light, each beginning at its edge."""
    picture = np.empty((*tone.shape, 3), np.float32)
    picture[:] = inks[0]
    rounded = soft(tone, 1 / 330)
    for edge, ink in zip(edges, inks[1:], strict=True):
        part = steps(rounded, edge, width)[..., None]
        picture = picture * (1 - part) + np.array(ink, np.float32) * part
    return picture
