"""parametric-v1: what a sentence asks for, as exact solids."""

from PIL import Image

import usina_runner
from usina.apps.threed.gltf import to_painted_glb
from usina.apps.threed.mesh import measure
from usina.apps.threed.opencv import set_threads
from usina.apps.threed.painted import Painted
from usina.apps.threed.parametric.order import Made, take_order
from usina.apps.threed.parametric.scene import compose
from usina.apps.threed.preview import GROUP, LYING, ROUND, Views, draw_preview
from usina.apps.threed.studio import set_up
from usina.apps.threed.wavefront import to_painted_zip


def main(job: usina_runner.Job) -> None:
    set_threads(job.cores)
    with job.stage("read", upto=0.02):
        orders = take_order(job.params["prompt"])
    made: list[Made] = []
    with job.stage("build", upto=0.3):
        for order in orders:
            job.check_cancelled()
            made.append(order.make(job.params["seed"]))
        bodies = [body for each in made for body in each.bodies]
        painted = compose(bodies)
    views = GROUP if len(bodies) > 1 else LYING if painted.is_flat() else ROUND
    _deliver(job, painted, views)
    _report(job, painted, made)


def _deliver(job: usina_runner.Job, painted: Painted, views: Views) -> None:
    with job.stage("write", upto=0.4):
        (job.outputs / "mesh.glb").write_bytes(to_painted_glb(painted, "model"))
        job.artifact("mesh.glb", "model")
        job.check_cancelled()
        (job.outputs / "mesh.zip").write_bytes(to_painted_zip(painted))
        job.artifact("mesh.zip", "data")
    with job.stage("preview", upto=0.98):
        drawn = draw_preview(
            set_up(painted.with_palette()),
            views,
            between=lambda share: job.progress(0.4 + 0.58 * share),
        )
        Image.fromarray(drawn).save(job.outputs / "preview.png")
        job.artifact("preview.png", "preview")


def _report(job: usina_runner.Job, painted: Painted, made: list[Made]) -> None:
    measures = measure(painted.points, painted.faces)
    job.report(
        {
            "vertices": measures.vertices,
            "faces": measures.faces,
            "watertight": measures.watertight,
            "volume_m3": measures.volume,
            "bounds_m": measures.bounds.round(9).tolist(),
            "understood": [each.understood for each in made],
            "warnings": [],
        }
    )


if __name__ == "__main__":
    usina_runner.run(main)
