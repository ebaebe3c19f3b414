"""What a caller should know about an avatar that was made all the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from usina.apps.avatars.face import Face
from usina.apps.avatars.frame import Frame
from usina.apps.avatars.matte import Matte
from usina.imaging.array import Bytes
from usina.imaging.notice import Notice

_LOOKED_AT = 96
_SHARP = 0.048
_ENLARGED = 3.0
_MISSING = 0.1
_RIVAL = 0.35
_TRUSTED = 0.8


@dataclass(frozen=True, slots=True)
class Doubt:
    """One entry of a report's ``warnings``: a stable code, a sentence that says what to do, and
    from 0 to 1 how sure the warning itself is."""

    code: str
    message: str
    confidence: float

    def as_json(self) -> dict[str, str | float]:
        return asdict(self)


def doubts(rgb: Bytes, faces: Sequence[Face], frame: Frame, matte: Matte | None) -> list[Doubt]:
    """Everything doubtful, the gravest first; nothing of a matte where nobody was cut out."""
    if not faces:
        return [
            Doubt(
                "no_face",
                "No face was found, so the middle of the photo was taken. Send a photo of one "
                "person who looks into the camera, in even light.",
                1.0,
            )
        ]
    known = [*_of_faces(faces), *_of_photo(rgb, faces[0], frame)]
    return known if matte is None else [*known, *_of_matte(matte)]


def of_painted(faces: Sequence[Face], painted: Sequence[Face]) -> list[Doubt]:
    """What the faces of a painted picture tell, beside those of its photo."""
    if not faces or painted:
        return []
    return [
        Doubt(
            "face_lost",
            "No face was found in what was painted. Look at the avatar; less strength keeps more "
            "of the photo.",
            faces[0].confidence,
        )
    ]


def of_missing_painter(why: str) -> Doubt:
    """The room's own style stands where a model was to paint; it follows no prompt."""
    return Doubt(
        "painter_unavailable",
        f"Drawn in the room's own style, without a prompt, since nothing could paint: {why}",
        1.0,
    )


def told_before(notices: Sequence[Notice]) -> list[Doubt]:
    """What reading the file has told already; it is measured, so it is sure."""
    return [Doubt(notice.code, notice.message, 1.0) for notice in notices]


def _of_faces(faces: Sequence[Face]) -> Iterator[Doubt]:
    first, *others = faces
    rivals = [other for other in others if other.box[2] > _RIVAL * first.box[2]]
    if rivals:
        yield Doubt(
            "several_faces",
            f"{1 + len(rivals)} faces were found; the clearest and largest was taken. Send a photo "
            "of one person.",
            max(rival.confidence for rival in rivals),
        )
    if first.confidence < _TRUSTED:
        yield Doubt(
            "face_doubtful",
            "What was taken for the face may be none, or is turned far away. Look at the avatar, "
            "or send a photo of one person who looks into the camera.",
            round(1 - first.confidence, 4),
        )
    if first.eyes.seen == 0:
        yield Doubt(
            "eyes_unseen",
            "No eyes were seen in the face: it may be turned away, covered, or no face at all.",
            round(1 - 0.5 * first.confidence, 4),
        )


def _of_photo(rgb: Bytes, face: Face, frame: Frame) -> Iterator[Doubt]:
    if frame.enlarged > _ENLARGED:
        yield Doubt(
            "face_small",
            f"The face is {round(face.box[2])} pixels wide, so the avatar is soft. Send a photo "
            f"that is closer or larger; {round(face.box[2] * frame.enlarged)} pixels are ideal.",
            1.0,
        )
    blur = 1 / (1 + (sharpness(rgb, face) / _SHARP) ** 3)
    if blur > 0.5:
        yield Doubt("blurred", "The face is out of focus or moved; take a sharper photo.", blur)
    missing = 1 - float(frame.inside.mean())
    if missing > _MISSING:
        yield Doubt(
            "photo_ends",
            f"The photo ends close to the face; {missing:.0%} of the avatar was filled in. Leave "
            "more room around the head.",
            1.0,
        )


def _of_matte(matte: Matte) -> Iterator[Doubt]:
    if matte.doubtful:
        yield Doubt(
            "matte_doubtful",
            "Where the person ends is not clear, so the background fades out instead of being cut "
            "away. A plain background that differs from hair and clothes helps.",
            round(1 - matte.confidence, 4),
        )


def sharpness(rgb: Bytes, face: Face) -> float:
    """How much of a face's contrast lies in its finest detail, at a width of 96 pixels: about 0.1
    and more in focus, below 0.05 blurred."""
    left, top, width, height = (round(value) for value in face.box)
    part = rgb[max(0, top) : top + height, max(0, left) : left + width]
    if min(part.shape[:2]) < 8:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    method = cv2.INTER_AREA if width > _LOOKED_AT else cv2.INTER_CUBIC
    small = cv2.resize(grey, (_LOOKED_AT, _LOOKED_AT), interpolation=method).astype(np.float32)
    spread = float(small.std())
    detail = float(np.median(np.abs(cv2.Laplacian(small, cv2.CV_32F))))
    return 0.0 if math.isclose(spread, 0.0) else detail / spread
