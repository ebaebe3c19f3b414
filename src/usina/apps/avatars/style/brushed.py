"""Styles out of paint: oil and watercolour."""

import cv2
import numpy as np

from usina.apps.avatars.style.sitter import Sitter
from usina.apps.avatars.style.tool import (
    clear,
    cloud,
    colour,
    contrast,
    glow,
    luma,
    painted,
    ramp,
    saturated,
    smooth,
    soft,
    strokes,
)
from usina.imaging.array import Reals


def oil(sitter: Sitter) -> Reals:
    """Oil on canvas: a dark ground, strokes that follow the shapes, light on the paint."""
    size, dice = sitter.size, sitter.dice()
    light = glow(size, (0.45, 0.35), 0.95) + 0.25 * cloud(dice, size, 5, 3)
    ground = ramp(
        light, [(0.0, colour("#20170f")), (0.5, colour("#4a3826")), (1.1, colour("#8a6d4a"))]
    )
    scene = sitter.before(ground, clear(sitter.person, 0.2))
    coarse, fine = painted(scene, 1 / 64), painted(scene, 1 / 260, 6.0)
    near = _attention(sitter)[..., None]
    paint = saturated(contrast(coarse * (1 - near) + fine * near, 0.25), 1.18)
    bristle = strokes(paint, dice, 1 / 14)
    relief = cv2.Sobel(bristle, cv2.CV_32F, 1, 1, ksize=3)
    depth = np.clip(relief / (relief.std() * 3), -1, 1) * 0.045 + 0.012 * np.clip(bristle, -2, 2)
    return np.clip(paint * (1 + depth[..., None] * 1.6), 0, 1).astype(np.float32)


def watercolor(sitter: Sitter) -> Reals:
    """Washes that pool at their borders, on white paper."""
    size, dice = sitter.size, sitter.dice()
    bleed = cloud(dice, size, 24, 3)
    cover = np.clip(sitter.cover + 0.10 * bleed * (sitter.cover > 0.02), 0, 1)
    calm = clear(sitter.person, 0.3)
    near = 0.8 * _attention(sitter)[..., None]
    wash = painted(smooth(calm, 1 / 60, 0.01), 1 / 85) * (1 - near) + painted(calm, 1 / 210) * near
    wash = np.clip(saturated(np.clip(wash, 0, 1) ** 0.86, 1.35), 0, 1)
    grey = luma(wash)
    pooled = np.clip(soft(grey, 1 / 120) - grey, 0, 1) * 1.4
    wash = wash * (1 - pooled[..., None]) * (1 + 0.10 * cloud(dice, size, 12)[..., None])
    rim = np.clip(cover - soft(cover, 1 / 90), 0, 1)[..., None]
    wash = wash * (1 - 0.5 * rim)
    thin = 0.92 * cover[..., None]
    if sitter.cut:
        halo = np.clip(soft(sitter.matte.alpha, 1 / 14) * 1.3 + 0.35 * bleed, 0, 1)
        tint = 1 - 0.30 * halo[..., None] * (1 - _complement(wash, sitter.cover))
    else:
        tint = np.ones((size, size, 3), np.float32)
    sheet = tint * (1 - thin) + wash * thin
    tooth = 1 + 0.03 * cloud(dice, size, size // 3, 1)[..., None]
    return np.clip(sheet * tooth * np.array([0.995, 0.99, 0.975]), 0, 1).astype(np.float32)


def _attention(sitter: Sitter) -> Reals:
    """1 on the face, where a painter takes the fine brush, 0 far from it."""
    left, top, width, height = sitter.face
    rows, columns = np.mgrid[0 : sitter.size, 0 : sitter.size].astype(np.float32)
    across, down = (columns - left - width / 2) / width, (rows - top - height / 2) / height
    away = np.hypot(across / 0.62, down / 0.72)
    return np.clip(1.5 - away, 0, 1).astype(np.float32)


def _complement(wash: Reals, cover: Reals) -> Reals:
    """The colour opposite to the person's own, light."""
    mean = (wash * cover[..., None]).sum(axis=(0, 1)) / max(1.0, float(cover.sum()))
    return (0.72 + 0.5 * (luma(mean[None, None])[0, 0] - mean)).astype(np.float32)
