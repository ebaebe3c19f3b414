"""The one door out of the room: whatever a model made is written, drawn, judged and told alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from usina.apps.threed.gltf import to_glb, to_painted_glb
from usina.apps.threed.mesh import measure
from usina.apps.threed.painted import Painted
from usina.apps.threed.preview import Views, draw_preview
from usina.apps.threed.printing.judgement import Judgement, judge
from usina.apps.threed.printing.pose import Pose, on_bed
from usina.apps.threed.printing.stl import to_stl
from usina.apps.threed.studio import set_up
from usina.apps.threed.surface import Surface
from usina.apps.threed.texture import encode_jpeg
from usina.apps.threed.turntable import draw_turntable, encode_webp
from usina.apps.threed.wavefront import to_painted_zip, to_zip
from usina.imaging.notice import Notice
from usina_runner import Job


@dataclass(frozen=True, slots=True)
class Product:
    """What a model made: its ``surface`` in metres, wearing a picture or plain finishes, the
    ``views`` that show it best, how a printer should lay it (``pose``), how many ``objects`` it is
    meant to be, and what else the report says of it."""

    surface: Surface | Painted
    views: Views
    pose: Pose = "standing"
    objects: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notices: tuple[Notice, ...] = ()


def deliver(job: Job, product: Product) -> None:
    """Write the product in its forms, draw it, judge it, and tell what is true of it."""
    surface = product.surface
    with job.stage("write", upto=0.6):
        body = on_bed(surface, product.pose)
        for name, kind, content in _forms(surface):
            _write(job, name, kind, content)
        _write(job, "mesh.stl", "data", to_stl(body))
    _show(job, product)
    with job.stage("printing", upto=0.98):
        judged = judge(body, objects=product.objects, between=job.check_cancelled)
    measures = measure(surface.points, surface.faces)
    _tell(job, judged)
    job.report(
        {
            "vertices": measures.vertices,
            "faces": measures.faces,
            "watertight": measures.watertight,
            "volume_m3": measures.volume,
            "bounds_m": measures.bounds.round(9).tolist(),
            **product.facts,
            "printing": judged.as_json(),
            "warnings": [notice.as_json() for notice in product.notices],
        }
    )


def _forms(surface: Surface | Painted) -> Iterator[tuple[str, str, bytes]]:
    """The name, kind and content of each file that holds shape and looks."""
    if isinstance(surface, Painted):
        yield "mesh.glb", "model", to_painted_glb(surface, "model")
        yield "mesh.zip", "data", to_painted_zip(surface)
    else:
        jpeg = encode_jpeg(surface.texture)
        yield "mesh.glb", "model", to_glb(surface, jpeg, "model")
        yield "mesh.zip", "data", to_zip(surface, jpeg)


def _show(job: Job, product: Product) -> None:
    """The pictures; the sheet of views comes first, since a client shows it meanwhile."""
    surface = product.surface
    with job.stage("preview", upto=0.8):
        studio = set_up(surface.with_palette() if isinstance(surface, Painted) else surface)
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


def _tell(job: Job, judged: Judgement) -> None:
    """What the manifests' gates look at."""
    job.metric("watertight", judged.measures.watertight)
    job.metric("thin_share", round(judged.thin_share, 4))


def _write(job: Job, name: str, kind: str, content: bytes) -> None:
    job.check_cancelled()
    (job.outputs / name).write_bytes(content)
    job.artifact(name, kind)
