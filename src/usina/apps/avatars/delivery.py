"""What an avatar is handed over as: two encodings, the photo itself made clean, and a report.

All are written anew from pixels, so nothing else of an upload is in them: no EXIF, no place, no
thumbnail, no comment.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from usina.apps.avatars.doubt import Doubt, doubts, told_before
from usina.apps.avatars.frame import Frame
from usina.apps.avatars.intake import Photo
from usina.apps.avatars.matte import Matte
from usina.imaging.array import Bytes
from usina_runner import Job


def deliver(
    job: Job,
    photo: Photo,
    frame: Frame,
    avatar: Bytes,
    matte: Matte | None = None,
    more: Sequence[Doubt] = (),
    told: Mapping[str, Any] | None = None,
) -> None:
    """``matte`` is how the person was cut out, where they were; ``more`` are warnings that only the
    model knows, and what is ``told`` stands in the report too."""
    _write(job, photo, avatar)
    face = photo.faces[0] if photo.faces else None
    confidence = face.confidence if face else 0.0
    job.metric("face_confidence", confidence)
    warnings = [*told_before(photo.notices), *doubts(photo.rgb, photo.faces, frame, matte), *more]
    report: dict[str, Any] = {
        "face": photo.full_box(face) if face else None,
        "face_confidence": confidence,
        "face_roll_degrees": round(face.roll, 1) if face else None,
        "faces": len(photo.faces),
        "warnings": [warning.as_json() for warning in warnings],
    }
    if matte is not None:
        job.metric("matte_confidence", matte.confidence)
        report["matte_confidence"] = matte.confidence
        report["background"] = "faded" if matte.doubtful else "cut"
    job.report(report | dict(told or {}))


def _write(job: Job, photo: Photo, avatar: Bytes) -> None:
    with job.stage("write", upto=0.97):
        picture = Image.fromarray(avatar)
        picture.save(job.outputs / "avatar.png", compress_level=4)
        job.artifact("avatar.png", "image")
        job.check_cancelled()
        picture.save(job.outputs / "avatar.webp", quality=90, method=4)
        job.artifact("avatar.webp", "image")
        job.check_cancelled()
        original = Image.fromarray(photo.rgb)
        original.save(job.outputs / "original.jpg", quality=94, subsampling=0)
        job.artifact("original.jpg", "image")
