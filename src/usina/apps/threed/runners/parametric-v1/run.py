"""parametric-v1: what a sentence asks for, as exact solids."""

import usina_runner
from usina.apps.threed.delivery import Product, deliver
from usina.apps.threed.parametric.order import Made, take_order
from usina.apps.threed.parametric.scene import compose
from usina.apps.threed.preview import GROUP, LYING, ROUND
from usina.imaging.opencv import set_threads


def main(job: usina_runner.Job) -> None:
    set_threads(job.cores)
    with job.stage("read", upto=0.02):
        orders = take_order(job.params["prompt"])
    made: list[Made] = []
    with job.stage("build", upto=0.55):
        for order in orders:
            job.check_cancelled()
            made.append(order.make(job.params["seed"]))
        bodies = [body for each in made for body in each.bodies]
        scene = compose(bodies, between=job.check_cancelled)
    views = GROUP if len(bodies) > 1 else LYING if scene.painted.is_flat() else ROUND
    facts = {"understood": [each.understood for each in made]}
    deliver(
        job,
        Product(scene.painted, views, objects=len(bodies), facts=facts, notices=scene.notices),
    )


if __name__ == "__main__":
    usina_runner.run(main)
