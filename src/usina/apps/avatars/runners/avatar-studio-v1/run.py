"""avatar-studio-v1: a profile picture from a photo of a person, in one of many styles."""

import usina_runner
from usina.apps.avatars.delivery import deliver
from usina.apps.avatars.face import FaceFinder
from usina.apps.avatars.frame import frame_face
from usina.apps.avatars.intake import take_in
from usina.apps.avatars.matte import cut_out
from usina.apps.avatars.style.catalogue import apply
from usina.apps.avatars.style.sitter import Sitter
from usina.imaging.opencv import set_threads


def main(job: usina_runner.Job, finder: FaceFinder) -> None:
    set_threads(job.cores)
    with job.stage("detect", upto=0.4):
        photo = take_in(job.inputs["photo"][0], finder)
    with job.stage("align", upto=0.45):
        frame = frame_face(photo.rgb, photo.faces[0] if photo.faces else None, job.params["size"])
    with job.stage("matte", upto=0.65):
        matte = cut_out(frame)
    with job.stage("style", upto=0.85):
        avatar = apply(job.params["style"], Sitter(frame, matte, job.params["seed"]))
    deliver(job, photo, frame, avatar, matte)


if __name__ == "__main__":
    usina_runner.run(main, load=FaceFinder)
