"""What the models that start from a picture do alike: take it in, and tell what became of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from usina.apps.threed.mask import Mask
from usina.apps.threed.surface import Surface
from usina.imaging.array import Bytes
from usina.imaging.opencv import resize_bytes, set_threads
from usina.imaging.picture import HELD_SIDE, Picture, open_picture
from usina_runner import Job

_MASK_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Intake:
    """The job's picture, and the caller's mask where there is one."""

    picture: Picture
    drawn: Picture | None


def take_in(job: Job, texture_size: int) -> Intake:
    """Decode the job's ``image``, fine enough for its texture, and its ``mask``."""
    set_threads(job.cores)
    with job.stage("decode", upto=0.05):
        masks = job.inputs.get("mask", [])
        picture = open_picture(job.inputs["image"][0], side=min(HELD_SIDE, 2 * texture_size))
        return Intake(picture, open_picture(masks[0], side=_MASK_SIDE) if masks else None)


def working_picture(picture: Picture, mask: Mask) -> Bytes:
    """The picture at the size of its mask."""
    height, width = mask.inside.shape
    return np.ascontiguousarray(resize_bytes(picture.rgb, width, height))


def write_mask(job: Job, picture: Picture, mask: Mask) -> None:
    """``mask.png``: of the picture's own size, so that it can be corrected and sent back."""
    drawn = mask.full_size(picture.full_width, picture.full_height)
    Image.fromarray(drawn).save(job.outputs / "mask.png")
    job.artifact("mask.png", "image")
    job.metric("mask_confidence", mask.confidence)


def picture_facts(mask: Mask, surface: Surface, target_faces: int) -> dict[str, Any]:
    """What the report says of the object's mask, and of the triangles asked for."""
    return {
        "faces_deviation": round(len(surface.faces) / target_faces - 1, 4),
        "mask_method": mask.method,
        "mask_fraction": round(mask.fraction, 4),
        "mask_confidence": mask.confidence,
    }
