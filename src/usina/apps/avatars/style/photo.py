"""Styles that stay photographs: another backdrop, another light, another film."""

import numpy as np

from usina.apps.avatars.style.sitter import Sitter
from usina.apps.avatars.style.tool import (
    clear,
    cloud,
    colour,
    contrast,
    glow,
    grain,
    luma,
    ramp,
    retouched,
    saturated,
    soft,
    spread,
)
from usina.imaging.array import Reals

_BACKDROPS = (
    "#2f6f8f",
    "#c8553d",
    "#3f7d58",
    "#6a4c93",
    "#d9a441",
    "#2b3a67",
    "#b5485d",
    "#4f8a8b",
)
_DUOTONES = (
    ("#1b0a3c", "#e0218a", "#ffe9c9"),
    ("#0b2545", "#1d8a99", "#f4f1de"),
    ("#2d0b3a", "#f25f5c", "#ffe066"),
    ("#10243e", "#3a86ff", "#e9f5ff"),
    ("#1f2a17", "#5f8d4e", "#fff3b0"),
)


def studio(sitter: Sitter) -> Reals:
    """A painted canvas behind, lit from the middle."""
    size = sitter.size
    light = glow(size, (0.5, 0.42), 0.85) + 0.10 * cloud(sitter.dice(), size, 4)
    canvas = ramp(
        light, [(0.0, colour("#23282f")), (0.55, colour("#565f6b")), (1.0, colour("#939ca6"))]
    )
    shown = contrast(clear(retouched(sitter.person, 0.5), 0.12), 0.18)
    return _vignetted(sitter.before(canvas, shown), 0.12)


def color(sitter: Sitter) -> Reals:
    """One clear colour behind; the seed chooses which."""
    size = sitter.size
    chosen = np.array(colour(_BACKDROPS[sitter.seed % len(_BACKDROPS)]), np.float32)
    light = glow(size, (0.5, 0.4), 1.0)[..., None]
    backdrop = chosen * (0.72 + 0.38 * light) + 0.06 * light
    shown = saturated(contrast(retouched(sitter.person, 0.45), 0.12), 1.06)
    return sitter.before(np.clip(backdrop, 0, 1).astype(np.float32), shown)


def high_key(sitter: Sitter) -> Reals:
    """White behind and much light everywhere."""
    size = sitter.size
    light = glow(size, (0.5, 0.45), 1.15)[..., None]
    backdrop = (np.array(colour("#e9edf2"), np.float32) * (1 - light) + light).astype(np.float32)
    shown = np.clip(retouched(sitter.person, 0.55), 0, 1) ** 0.82
    shown = saturated(0.03 + 0.97 * contrast(shown, 0.1), 0.94)
    return sitter.before(backdrop, np.clip(shown, 0, 1).astype(np.float32))


def classic(sitter: Sitter) -> Reals:
    """Black and white, as from a darkroom."""
    size = sitter.size
    backdrop = 0.10 + 0.26 * glow(size, (0.5, 0.4), 0.8)
    shown = sitter.before(np.repeat(backdrop[..., None], 3, axis=2), sitter.person)
    grey = shown @ np.array([0.42, 0.44, 0.14], np.float32)
    grey = contrast(clear(spread(grey, 0.5, 99.6), 0.22), 0.45)
    grey = grey + grain(sitter.dice(), size, 0.018)
    warm = ramp(np.clip(grey, 0, 1), [(0.0, (0.03, 0.03, 0.035)), (1.0, (0.985, 0.98, 0.97))])
    return _vignetted(warm, 0.25)


def cinematic(sitter: Sitter) -> Reals:
    """The real background out of focus, shadows towards teal, lights towards amber."""
    size = sitter.size
    cover = sitter.cover[..., None]
    scene = sitter.person * cover + 0.8 * sitter.blurred * (1 - cover)
    scene = contrast(clear(scene, 0.15), 0.35)
    tone = luma(scene)[..., None]
    teal, amber = np.array([-0.05, 0.02, 0.055]), np.array([0.06, 0.015, -0.055])
    graded = scene + teal * (1 - tone) ** 1.5 + amber * tone * (1 - 0.4 * tone)
    graded = graded * 0.965 + 0.012 + grain(sitter.dice(), size, 0.012)[..., None]
    bloom = soft(np.clip(graded - 0.7, 0, 1).astype(np.float32), 1 / 40)
    return _vignetted(np.clip(graded + 0.35 * bloom, 0, 1).astype(np.float32), 0.38)


def duotone(sitter: Sitter) -> Reals:
    """Two inks instead of all colours; the seed chooses which."""
    dark, middle, light = (colour(code) for code in _DUOTONES[sitter.seed % len(_DUOTONES)])
    size = sitter.size
    backdrop = 0.30 + 0.32 * glow(size, (0.5, 0.35), 1.0)
    shown = sitter.before(np.repeat(backdrop[..., None], 3, axis=2), sitter.person)
    tone = contrast(clear(spread(luma(shown), 0.5, 99.3), 0.25), 0.3)
    return ramp(tone, [(0.02, dark), (0.5, middle), (0.97, light)])


def _vignetted(picture: Reals, strength: float) -> Reals:
    """Darker towards the corners."""
    size = picture.shape[0]
    light = 1 - strength * (1 - glow(size, (0.5, 0.47), 0.98))
    return (picture * light[..., None]).astype(np.float32)
