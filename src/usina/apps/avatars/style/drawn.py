"""Styles out of lines: pencil, ink and cartoon."""

import cv2
import numpy as np

from usina.apps.avatars.style.sitter import Sitter
from usina.apps.avatars.style.tone import face_tone
from usina.apps.avatars.style.tool import (
    cloud,
    colour,
    contrast,
    glow,
    lines,
    luma,
    painted,
    ramp,
    saturated,
    smooth,
    soft,
    spread,
    steps,
    strokes,
)
from usina.imaging.array import Reals

_FLATS = ("#f4c95d", "#8ecae6", "#e07a5f", "#81b29a", "#cdb4db", "#f28482")


def pencil(sitter: Sitter) -> Reals:
    """Graphite on paper: edges by dodging, shade by strokes, nothing behind."""
    size, dice = sitter.size, sitter.dice()
    tone = spread(luma(sitter.person), 0.5, 99.5)
    calm = soft(tone, 1 / 700)
    dodged = np.clip(calm / np.maximum(soft(calm, 1 / 75), 0.04), 0, 1) ** 1.7
    drawn = lines(calm, 1 / 520, 12.0, 0.42)
    hatch = strokes(sitter.person, dice, 1 / 22)
    shade = 1 - 0.62 * (1 - tone) ** 1.35 * (0.82 + 0.20 * np.clip(hatch, -2, 2))
    graphite = dodged * np.clip(shade, 0, 1) * (0.55 + 0.45 * drawn)
    sheet = 1 - sitter.cover * (1 - graphite)
    tooth = 1 + 0.035 * cloud(dice, size, size // 3, 1)
    return ramp(np.clip(sheet * tooth, 0, 1), [(0.0, colour("#2a2a30")), (1.0, colour("#fbf8f2"))])


def cartoon(sitter: Sitter) -> Reals:
    """Flat colours, bold lines, one colour behind; the seed chooses which."""
    size = sitter.size
    flat = painted(smooth(sitter.person, 1 / 70, 0.006), 1 / 130)
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0] / 100
    levels = 9.0
    step = np.floor(lightness * levels) + steps(lightness * levels % 1, 0.5, 0.35)
    lab[..., 0] = 100 * (0.35 * lightness + 0.65 * step / levels)
    drawn = saturated(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.float32), 1.32)
    back = np.array(colour(_FLATS[sitter.seed % len(_FLATS)]), np.float32)
    light = glow(size, (0.5, 0.45), 0.75)[..., None]
    shown = sitter.before(
        (back * (0.9 + 0.16 * (light > 0.35))).astype(np.float32), drawn, sharp=True
    )
    ink = lines(luma(smooth(sitter.person, 1 / 160, 0.002)), 1 / 420, 22.0, 0.30)
    ink = 1 - (1 - ink) * sitter.sharp
    ink *= 1 - 0.85 * _outline(sitter)
    dark = np.array(colour("#231a24"), np.float32)
    return np.clip(shown * ink[..., None] + dark * (1 - ink[..., None]), 0, 1).astype(np.float32)


def ink(sitter: Sitter) -> Reals:
    """Brush and ink on paper: black shadows, one grey wash, lines for what is neither."""
    size, dice = sitter.size, sitter.dice()
    tone = face_tone(sitter)
    line = lines(tone, 1 / 420, 20.0, 0.30)
    black = steps(soft(tone, 1 / 420), 0.25, 0.06)
    wash = 1 - 0.34 * (1 - steps(soft(tone, 1 / 240), 0.44, 0.05))
    drawn = line * black * wash * (1 - 0.9 * _outline(sitter))
    sheet = 1 - np.maximum(sitter.sharp, _outline(sitter)) * (1 - drawn)
    sheet = sheet * (1 + 0.02 * cloud(dice, size, size // 4, 2))
    return ramp(np.clip(sheet, 0, 1), [(0.0, colour("#17151a")), (1.0, colour("#f6f1e6"))])


def _outline(sitter: Sitter) -> Reals:
    """A line around the person, where the cut is sure."""
    if not sitter.cut:
        return np.zeros((sitter.size, sitter.size), np.float32)
    cover = soft(sitter.matte.alpha, 1 / 400)
    return contrast(np.clip(1 - np.abs(cover - 0.5) * 3.2, 0, 1).astype(np.float32), 1.0)
