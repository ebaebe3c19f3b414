"""What both models do alike: take the pictures in, and hand the surface out."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from usina.apps.threed.array import Bytes
from usina.apps.threed.gltf import to_glb
from usina.apps.threed.mask import Mask
from usina.apps.threed.mesh import measure
from usina.apps.threed.opencv import resize_bytes, set_threads
from usina.apps.threed.picture import HELD_SIDE, Picture, open_picture
from usina.apps.threed.preview import View, draw_preview
from usina.apps.threed.surface import Surface
from usina.apps.threed.texture import encode_jpeg
from usina.apps.threed.wavefront import to_zip
from usina_runner import Job

_MASK_SIDE = 1024

Views = tuple[View, View, View, View]


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


def write_mask(job: Job, picture: Picture, mask: Mask) -> None:
    """``mask.png``: of the picture's own size, so that it can be corrected and sent back."""
    drawn = mask.full_size(picture.full_width, picture.full_height)
    Image.fromarray(drawn).save(job.outputs / "mask.png")
    job.artifact("mask.png", "image")


def deliver(job: Job, surface: Surface, picture: Picture, mask: Mask, views: Views) -> None:
    """Write the model in its forms, draw it, and tell what is true of it."""
    jpeg = encode_jpeg(surface.texture)
    with job.stage("write", upto=0.6):
        (job.outputs / "mesh.glb").write_bytes(to_glb(surface, jpeg, "model"))
        job.artifact("mesh.glb", "model")
        (job.outputs / "mesh.zip").write_bytes(to_zip(surface, jpeg))
        job.artifact("mesh.zip", "data")
        write_mask(job, picture, mask)
    with job.stage("preview", upto=0.98):
        drawn = draw_preview(surface, views, between=lambda share: job.progress(0.6 + 0.38 * share))
        Image.fromarray(drawn).save(job.outputs / "preview.png")
        job.artifact("preview.png", "preview")
    measures = measure(surface.points, surface.faces)
    job.report(
        {
            "vertices": measures.vertices,
            "faces": measures.faces,
            "watertight": measures.watertight,
            "volume_m3": measures.volume,
            "bounds_m": measures.bounds.round(6).tolist(),
            "mask_method": mask.method,
            "mask_fraction": round(mask.fraction, 4),
            "mask_confidence": mask.confidence,
            "warnings": [notice.as_json() for notice in picture.notices + mask.notices],
        }
    )


def working_picture(picture: Picture, mask: Mask) -> Bytes:
    """The picture at the size of its mask."""
    height, width = mask.inside.shape
    return np.ascontiguousarray(resize_bytes(picture.rgb, width, height))
