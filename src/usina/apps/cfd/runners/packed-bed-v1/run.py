"""packed-bed-v1: spheres in a tube, without any other program."""

import usina_runner
from usina.apps.cfd.packing.delivery import Bed, deliver
from usina.apps.cfd.packing.order import read_order
from usina.apps.cfd.packing.pack import Packing
from usina.apps.cfd.packing.warmth import call_all


def main(job: usina_runner.Job, _: None) -> None:
    order = read_order(job.params)
    if order.shape.kind != "sphere":
        raise usina_runner.InvalidInput(
            "shape_not_served",
            f"packed-bed-v1 packs spheres; packed-bed-blender packs a {order.shape.kind} too.",
        )

    def between(share: float | None = None) -> None:
        job.progress(job.fraction if share is None else 0.02 + 0.63 * share)

    with job.stage("pack", upto=0.65):
        packing = Packing(order, job.params["sweeps"], job.params["stacking"], between)
        packed = packing.make()
    facts = {"method": order.method, "sweeps": packed.sweeps, "seed": order.seed}
    deliver(
        job,
        Bed(packed.particles, order.diameter_m, order.height_m, facts),
        job.params["preview_pixels"],
    )


if __name__ == "__main__":
    usina_runner.run(main, load=call_all)
