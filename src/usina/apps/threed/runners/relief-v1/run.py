"""relief-v1: a picture as a framed plaque whose front rises with what it shows."""

import numpy as np

import usina_runner
from usina.apps.threed.delivery import Product, deliver
from usina.apps.threed.intake import (
    Intake,
    picture_facts,
    take_in,
    working_picture,
    write_mask,
)
from usina.apps.threed.mask import Mask, find_mask, whole
from usina.apps.threed.option import ReliefOption, read_option
from usina.apps.threed.plaque import build, corner_normals
from usina.apps.threed.preview import FLAT
from usina.apps.threed.relief import carve
from usina.apps.threed.surface import Surface, dress
from usina.apps.threed.texture import whole_texture

SURE = 0.6
"""The confidence from which an object that nobody pointed at is raised."""


def main(job: usina_runner.Job) -> None:
    option = read_option(ReliefOption, job.params)
    intake = take_in(job, option.texture_size)
    with job.stage("mask", upto=0.25):
        mask = choose_mask(intake, option)
    surface = _build(job, intake, mask, option)
    write_mask(job, intake.picture, mask)
    notices = intake.picture.notices + mask.notices
    facts = picture_facts(mask, surface, option.target_faces)
    deliver(job, Product(surface, FLAT, "lying", facts=facts, notices=notices))


def choose_mask(intake: Intake, option: ReliefOption) -> Mask:
    """What stands out of the ground: what the caller shows; else an object that is surely one,
    or the whole picture."""
    pointed = intake.drawn is not None or option.rectangle is not None
    if option.subject == "object" or (option.subject == "auto" and pointed):
        return find_mask(intake.picture, drawn=intake.drawn, rectangle=option.rectangle)
    if option.subject == "picture":
        return whole(intake.picture)
    try:
        mask = find_mask(intake.picture)
    except usina_runner.InvalidInput:
        return whole(intake.picture)
    return mask if mask.confidence >= SURE else whole(intake.picture)


def _build(job: usina_runner.Job, intake: Intake, mask: Mask, option: ReliefOption) -> Surface:
    with job.stage("relief", upto=0.35):
        inside = None if mask.method == "whole" else mask.inside
        plaque = carve(working_picture(intake.picture, mask), inside, option)
    with job.stage("mesh", upto=0.45):
        built = build(plaque, option.target_faces)
        normals = corner_normals(plaque, built)
    with job.stage("texture", upto=0.55):
        texture, plain = whole_texture(intake.picture.rgb, plaque.extent, option.texture_size)
        flat = built.mesh.points[built.mesh.faces][..., :2] * np.array([1, -1])
        uv = texture.place(flat, ~built.is_front())
        uv[~built.is_front()] = plain
        return dress(built.mesh, normals, uv, texture.pixels, option.size_m)


if __name__ == "__main__":
    usina_runner.run(main)
