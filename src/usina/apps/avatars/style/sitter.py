"""Who sits for a style, and what a style may put behind them."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from usina.apps.avatars.eye import Box
from usina.apps.avatars.frame import Frame
from usina.apps.avatars.matte import Matte
from usina.imaging.array import Reals

_FACE_WITHOUT: Box = (0.28, 0.25, 0.44, 0.44)
"""Where a face is taken to be in a square without one, as shares of its side."""


@dataclass(frozen=True)
class Sitter:
    """The square, the cut, and the ``seed`` from which all chance of a style comes. Pictures are
    ``(s, s, 3)`` of 0 to 1 in sRGB, planes ``(s, s)``."""

    frame: Frame
    matte: Matte
    seed: int

    @property
    def size(self) -> int:
        return self.frame.size

    @property
    def cut(self) -> bool:
        """Whether the person can be set before another background."""
        return not self.matte.doubtful

    @cached_property
    def picture(self) -> Reals:
        """The square as photographed."""
        return (self.frame.rgb.astype(np.float32) / 255).astype(np.float32)

    @cached_property
    def person(self) -> Reals:
        """The same without the background's light on the person's edge."""
        if not self.cut:
            return self.picture
        return (self.matte.person.astype(np.float32) / 255).astype(np.float32)

    @cached_property
    def cover(self) -> Reals:
        """How much of the person is seen. Without a sure cut a soft round, wide enough to cut
        nothing off."""
        return self.matte.alpha if self.cut else self._round()

    @cached_property
    def sharp(self) -> Reals:
        """`cover` with the edge of a pair of scissors, for flat areas."""
        if not self.cut:
            return self.cover
        part = np.clip((self.cover - 0.5) * 3 + 0.5, 0, 1)
        return (part * part * (3 - 2 * part)).astype(np.float32)

    @cached_property
    def blurred(self) -> Reals:
        """What is behind the person, out of focus; their own colours do not bleed into it."""
        alpha = self.matte.alpha if self.cut else np.zeros_like(self.matte.alpha)
        beside = 1 - np.asarray(cv2.GaussianBlur(alpha, (0, 0), self.size / 90), np.float32)
        away: Reals = np.clip(beside * (1 - alpha), 1e-3, 1)
        sigma = self.size / 22
        weighed = cv2.GaussianBlur(self.picture * away[..., None], (0, 0), sigma)
        total = cv2.GaussianBlur(away, (0, 0), sigma)[..., None]
        return (weighed / np.maximum(total, 1e-4)).astype(np.float32)

    def before(self, backdrop: Reals, person: Reals | None = None, *, sharp: bool = False) -> Reals:
        """The person in front of the ``backdrop``. Without a sure cut it only fades in around
        them, tinting what is really there."""
        shown = self.person if person is None else person
        cover = (self.sharp if sharp else self.cover)[..., None]
        if not self.cut:
            backdrop = 0.25 * self.blurred + 0.75 * backdrop
        return (shown * cover + backdrop * (1 - cover)).astype(np.float32)

    def dice(self) -> np.random.Generator:
        """The style's chance: the same for the same seed."""
        return np.random.default_rng(self.seed)

    @property
    def face(self) -> Box:
        """Where the face is, or would be."""
        if self.frame.face is not None:
            return self.frame.face
        left, top, width, height = (share * self.size for share in _FACE_WITHOUT)
        return left, top, width, height

    def _round(self) -> Reals:
        """1 on the head and the chest, falling to 0 well outside of any hair."""
        left, top, width, height = self.face
        rows, columns = np.mgrid[0 : self.size, 0 : self.size].astype(np.float32)
        across = (columns - left - width / 2) / height
        down = (rows - top - height / 2) / height
        head = np.hypot(across / 1.0, (down + 0.1) / 1.1)
        trunk = np.hypot(across / 1.3, np.maximum(0, 1.05 - down) / 0.9)
        away = np.minimum(head, np.where(down > 0.2, trunk, 9.0))
        away = cv2.GaussianBlur(away.astype(np.float32), (0, 0), self.size / 40)
        part = np.clip((1.28 - away) / 0.5, 0, 1)
        return (part * part * (3 - 2 * part)).astype(np.float32)
