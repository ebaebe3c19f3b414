"""The room of the painter: a photo comes in, is framed, painted and handed over."""

from pathlib import Path

from usina.apps.avatars.delivery import deliver
from usina.apps.avatars.diffusion.engine import NoEngine, ServerPlace, check_engine, find_engine
from usina.apps.avatars.diffusion.local import LocalPainter
from usina.apps.avatars.diffusion.order import PLAIN, Order, read_order
from usina.apps.avatars.diffusion.painter import PAINT_FROM, Painter
from usina.apps.avatars.diffusion.server import ServerPainter
from usina.apps.avatars.doubt import of_missing_painter, of_painted
from usina.apps.avatars.draw import draw
from usina.apps.avatars.face import FaceFinder
from usina.apps.avatars.frame import Frame, frame_face
from usina.apps.avatars.intake import Photo, take_in
from usina.imaging.opencv import resize_bytes, set_threads, shrink_bytes
from usina_runner import Failure, Job

_LOOKED_AT = 256
"""At which size a face is looked for in what was painted; there it is about a hundred pixels."""


class Studio:
    """What jobs share: the face's cascades and the engine."""

    def __init__(self, painter: Painter, finder: FaceFinder) -> None:
        self._painter, self._finder = painter, finder

    def portray(self, job: Job) -> None:
        """One job, from its photo to its report. Where the engine is unavailable and the job says
        ``fallback``, the room's own style takes its place."""
        set_threads(job.cores)
        order, size = read_order(job.params), job.params["size"]
        with job.stage("detect", upto=0.4):
            photo = take_in(job.inputs["photo"][0], self._finder)
        with job.stage("align", upto=PAINT_FROM):
            frame = frame_face(photo.rgb, photo.faces[0] if photo.faces else None, size)
        try:
            self._paint(job, photo, frame, order)
        except Failure as failure:
            if failure.code != "unavailable" or not job.params["fallback"]:
                raise
            job.log("warning", failure.message)
            avatar, matte = draw(job, frame, job.params.get("style", PLAIN), order.seed)
            more = [of_missing_painter(failure.message)]
            deliver(job, photo, frame, avatar, matte, more, {"engine": "styles"})

    def _paint(self, job: Job, photo: Photo, frame: Frame, order: Order) -> None:
        size, side = frame.rgb.shape[0], self._painter.side(job, order)
        face = photo.faces[0] if photo.faces else None
        square = frame.rgb if side == size else frame_face(photo.rgb, face, side).rgb
        painted = self._painter.paint(job, square, order)
        avatar = painted if side == size else resize_bytes(painted, size, size)
        told = self._painter.about() | {"prompt": order.prompt, "paint_size": side}
        with job.stage("look", upto=0.9):
            small = shrink_bytes(avatar, _LOOKED_AT, _LOOKED_AT)
            more = of_painted(photo.faces, self._finder.find(small))
        deliver(job, photo, frame, avatar, more=more, told=told)


def open_studio(script: Path) -> Studio:
    """With the engine that the environment names, loaded; ``script`` is the program of diffusers.
    Raises ``Failure`` where there is none, or it can not be loaded."""
    try:
        place = find_engine()
        check_engine(place)
    except NoEngine as missing:
        raise Failure("unavailable", "model_not_installed", str(missing), retryable=False) from None
    if isinstance(place, ServerPlace):
        return Studio(ServerPainter(place), FaceFinder())
    painter = LocalPainter(place, script)
    finder = FaceFinder()
    painter.load()
    return Studio(painter, finder)
