"""What the room's models do alike: take pictures in, and hand a finished surface out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from usina.apps.threed.array import Bytes
from usina.apps.threed.gltf import to_glb
from usina.apps.threed.mask import Mask
from usina.apps.threed.mesh import measure
from usina.apps.threed.notice import Notice
from usina.apps.threed.opencv import resize_bytes, set_threads
from usina.apps.threed.picture import HELD_SIDE, Picture, open_picture
from usina.apps.threed.preview import Views, draw_preview
from usina.apps.threed.printing.judgement import judge
from usina.apps.threed.printing.pose import Pose, on_bed
from usina.apps.threed.printing.stl import to_stl
from usina.apps.threed.studio import set_up
from usina.apps.threed.surface import Surface
from usina.apps.threed.texture import encode_jpeg
from usina.apps.threed.turntable import draw_turntable, encode_webp
from usina.apps.threed.wavefront import to_zip
from usina_runner import Job

_MASK_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Intake:
    """The job's picture, and the caller's mask where there is one."""

    picture: Picture
    drawn: Picture | None


@dataclass(frozen=True, slots=True)
class Product:
    """What a model made: its ``surface`` in metres, the ``views`` that show it best, how a printer
    should lay it (``pose``), how many triangles were asked for, and what else the report says of
    it."""

    surface: Surface
    views: Views
    pose: Pose
    target_faces: int
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notices: tuple[Notice, ...] = ()


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


def mask_facts(mask: Mask) -> dict[str, Any]:
    """What the report says of the object's mask."""
    return {
        "mask_method": mask.method,
        "mask_fraction": round(mask.fraction, 4),
        "mask_confidence": mask.confidence,
    }


def deliver(job: Job, product: Product) -> None:
    """Write the product in its forms, draw it, judge it, and tell what is true of it."""
    surface = product.surface
    with job.stage("write", upto=0.6):
        jpeg = encode_jpeg(surface.texture)
        body = on_bed(surface, product.pose)
        _write(job, "mesh.glb", "model", to_glb(surface, jpeg, "model"))
        _write(job, "mesh.zip", "data", to_zip(surface, jpeg))
        _write(job, "mesh.stl", "data", to_stl(body))
    _show(job, product)
    with job.stage("printing", upto=0.98):
        printing = judge(body).as_json()
    measures = measure(surface.points, surface.faces)
    job.report(
        {
            "vertices": measures.vertices,
            "faces": measures.faces,
            "faces_deviation": round(measures.faces / product.target_faces - 1, 4),
            "watertight": measures.watertight,
            "volume_m3": measures.volume,
            "bounds_m": measures.bounds.round(6).tolist(),
            **product.facts,
            "printing": printing,
            "warnings": [notice.as_json() for notice in product.notices],
        }
    )


def _show(job: Job, product: Product) -> None:
    """The pictures; the sheet of views comes first, since a client shows it meanwhile."""
    with job.stage("preview", upto=0.8):
        studio = set_up(product.surface)
        drawn = draw_preview(
            studio, product.views, between=lambda share: job.progress(0.6 + 0.2 * share)
        )
        Image.fromarray(drawn).save(job.outputs / "preview.png", compress_level=2)
        job.artifact("preview.png", "preview")
    with job.stage("turntable", upto=0.96):
        frames = draw_turntable(
            studio, job.cores, between=lambda share: job.progress(0.8 + 0.15 * share)
        )
        _write(job, "turntable.webp", "preview", encode_webp(frames))


def _write(job: Job, name: str, kind: str, content: bytes) -> None:
    (job.outputs / name).write_bytes(content)
    job.artifact(name, kind)


def working_picture(picture: Picture, mask: Mask) -> Bytes:
    """The picture at the size of its mask."""
    height, width = mask.inside.shape
    return np.ascontiguousarray(resize_bytes(picture.rgb, width, height))
