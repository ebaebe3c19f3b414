"""inflate-v1: the object of a picture, blown up into a textured body."""

import numpy as np

import usina_runner
from usina.apps.threed.delivery import Product, deliver
from usina.apps.threed.inflate import inflate
from usina.apps.threed.intake import Intake, picture_facts, take_in, write_mask
from usina.apps.threed.mask import Mask, find_mask
from usina.apps.threed.mesh import decimate
from usina.apps.threed.option import InflateOption, read_option
from usina.apps.threed.preview import ROUND
from usina.apps.threed.surface import Surface, dress
from usina.apps.threed.texture import cut_texture


def main(job: usina_runner.Job) -> None:
    option = read_option(InflateOption, job.params)
    intake = take_in(job, option.texture_size)
    with job.stage("mask", upto=0.25):
        mask = find_mask(intake.picture, drawn=intake.drawn, rectangle=option.rectangle)
    surface = _build(job, intake, mask, option)
    write_mask(job, intake.picture, mask)
    notices = intake.picture.notices + mask.notices
    facts = picture_facts(mask, surface, option.target_faces)
    deliver(job, Product(surface, ROUND, facts=facts, notices=notices))


def _build(job: usina_runner.Job, intake: Intake, mask: Mask, option: InflateOption) -> Surface:
    with job.stage("inflate", upto=0.35):
        balloon = inflate(mask.inside, depth=option.depth, faces=option.target_faces)
    with job.stage("mesh", upto=0.45):
        mesh = decimate(balloon.mesh(), option.target_faces)
        normals = balloon.corner_normals(mesh)
    with job.stage("texture", upto=0.55):
        texture = cut_texture(
            intake.picture.rgb, mask.inside, option.texture_size, plain_back=option.back == "plain"
        )
        corner = mesh.points[mesh.faces]
        uv = texture.place(corner[..., :2] * np.array([1, -1]), corner[..., 2].mean(axis=1) < 0)
        return dress(mesh, normals, uv, texture.pixels, option.size_m)


if __name__ == "__main__":
    usina_runner.run(main)
