"""The photo of a job, upright, without anything that is not its pixels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from usina.apps.avatars.face import Face, FaceFinder
from usina.imaging.array import Bytes
from usina.imaging.notice import Notice
from usina.imaging.picture import Picture, open_picture

_SHEET = 250.0


@dataclass(frozen=True, slots=True)
class Photo:
    """``rgb`` ``(h, w, 3)`` is upright and at most 4096 pixels long; ``scale`` is how many pixels
    of the file each of its own is, along a side; ``faces`` are in pixels of ``rgb``."""

    rgb: Bytes
    scale: float
    faces: tuple[Face, ...]
    notices: tuple[Notice, ...]

    def full_box(self, face: Face) -> list[int]:
        """The box of a face in pixels of the upright file: left, top, width, height."""
        return [round(value * self.scale) for value in face.box]


def take_in(path: Path, finder: FaceFinder) -> Photo:
    """Read the file and look for faces. What is transparent lies on a light sheet; only where no
    face is seen so, it is looked for below the transparency too."""
    picture = open_picture(path)
    photo = Photo(
        rgb=_on_sheet(picture),
        scale=picture.full_width / picture.rgb.shape[1],
        faces=(),
        notices=picture.notices,
    )
    faces = tuple(finder.find(photo.rgb))
    if not faces and picture.alpha is not None:
        faces = tuple(finder.find(picture.rgb))
        if faces:
            ignored = Notice(
                "alpha_ignored", "The photo hides its face, so it was taken as opaque."
            )
            photo = replace(photo, rgb=picture.rgb, notices=(*photo.notices, ignored))
    return replace(photo, faces=faces)


def _on_sheet(picture: Picture) -> Bytes:
    if picture.alpha is None:
        return picture.rgb
    cover = picture.alpha[..., None].astype(np.float32) / 255
    sheet = picture.rgb * cover + _SHEET * (1 - cover)
    return (sheet + 0.5).astype(np.uint8)
