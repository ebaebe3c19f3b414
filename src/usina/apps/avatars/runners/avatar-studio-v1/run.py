"""avatar-studio-v1: a profile picture from a photo of a person, in one of many styles."""

import usina_runner
from usina.apps.avatars.delivery import deliver
from usina.apps.avatars.doubt import of_missing_painter
from usina.apps.avatars.draw import draw
from usina.apps.avatars.face import FaceFinder
from usina.apps.avatars.frame import frame_face
from usina.apps.avatars.intake import take_in
from usina.imaging.opencv import set_threads


def main(job: usina_runner.Job, finder: FaceFinder) -> None:
    set_threads(job.cores)
    with job.stage("detect", upto=0.4):
        photo = take_in(job.inputs["photo"][0], finder)
    with job.stage("align", upto=0.45):
        frame = frame_face(photo.rgb, photo.faces[0] if photo.faces else None, job.params["size"])
    avatar, matte = draw(job, frame, job.params["style"], job.params["seed"])
    missing = job.params.get("in_place_of")
    more = [of_missing_painter(f"{missing} can not run here.")] if missing else []
    deliver(job, photo, frame, avatar, matte, more)


if __name__ == "__main__":
    usina_runner.run(main, load=FaceFinder)
