"""packed-bed-blender: particles of four shapes fall into a tube as Blender's rigid bodies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import usina_runner
from usina.apps.cfd.packing.blender import STILL, Baked, bake
from usina.apps.cfd.packing.delivery import Bed, deliver
from usina.apps.cfd.packing.installation import NoBlender
from usina.apps.cfd.packing.order import Order, read_order
from usina.apps.cfd.packing.warmth import call_all
from usina.apps.cfd.particles import Particles

SCRIPT = Path(__file__).with_name("bake.py")


def main(job: usina_runner.Job, _: None) -> None:
    order = read_order(job.params)
    fallen = replace(order, count=order.count or order.enough_for_fill())
    with job.stage("bake", upto=0.65):
        try:
            baked = bake(
                SCRIPT,
                fallen,
                job.params["frames"],
                job.outputs.parent,
                lambda share: job.progress(0.02 + 0.63 * share),
            )
        except NoBlender as missing:
            raise usina_runner.Failure("unavailable", "model_not_installed", str(missing)) from None
    particles = _kept(baked.particles, order)
    job.metric("fastest", baked.fastest)
    facts = {"seed": order.seed, "frames": baked.frames, "fastest": baked.fastest}
    bed = Bed(particles, order.diameter_m, order.height_m, facts, _warnings(baked))
    deliver(job, bed, job.params["preview_pixels"])


def _kept(particles: Particles, order: Order) -> Particles:
    """Those below the height that is asked for; raises ``InvalidInput`` for a bed that is too
    high."""
    tops = particles.centres[:, 2] + particles.extents()[:, 0]
    if order.fill_m is None:
        if tops.max() > order.height_m:
            raise order.refuse_height(float(tops.max()), int((tops <= order.height_m).sum()))
        return particles
    below = np.flatnonzero(tops <= order.fill_m)
    return Particles(particles.shape, particles.centres[below], particles.quaternions[below])


def _warnings(baked: Baked) -> list[dict[str, Any]]:
    if baked.settled:
        return []
    return [
        {
            "code": "not_settled",
            "message": f"After {baked.frames} frames some particles still move by "
            f"{baked.fastest:.2g} diameters a frame (settled is {STILL:g}); give it more frames.",
        }
    ]


if __name__ == "__main__":
    usina_runner.run(main, load=call_all)
