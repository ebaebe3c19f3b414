"""What both engines are to a job, and what holds for every picture that they hand over."""

import io
from typing import Protocol

import numpy as np
from PIL import Image

from usina.apps.avatars.diffusion.order import Order
from usina.imaging.array import Bytes
from usina.imaging.opencv import resize_bytes
from usina.imaging.picture import open_picture
from usina_runner import Failure, InvalidInput, Job

PAINT_FROM, PAINT_UPTO = 0.45, 0.85
"""The progress of a job at the painting's begin and end."""

_MOST_PIXELS = 4096 * 4096
_DARK = 8
"""The brightest value, of 255, of a picture that is called black."""


class Painter(Protocol):
    """An engine that is ready; one at a time paints with it."""

    def side(self, job: Job, order: Order) -> int:
        """At what width and height it will paint; may take long where it has to load first."""
        ...

    def paint(self, job: Job, square: Bytes, order: Order) -> Bytes:
        """The ``square`` ``(s, s, 3)`` painted over as the order says, of the same shape. Moves the
        job's progress, and stops when it is cancelled. Raises ``Failure``."""
        ...

    def about(self) -> dict[str, str]:
        """What a report tells of the engine; never where it is."""
        ...


def as_png(square: Bytes) -> bytes:
    """A file of nothing but the pixels."""
    out = io.BytesIO()
    Image.fromarray(square).save(out, "PNG", compress_level=1)
    return out.getvalue()


def read_painted(job: Job, data: bytes, side: int) -> Bytes:
    """The picture ``(side, side, 3)`` in what an engine handed over; read as carefully as a
    stranger's. Raises ``Failure`` for what is no picture, or one that shows nothing."""
    file = job.outputs.parent / "painted"
    file.write_bytes(data)
    try:
        rgb = open_picture(file, limit=_MOST_PIXELS).rgb
    except InvalidInput as unreadable:
        raise Failure(
            "runner_failed",
            "bad_picture",
            f"What the model painted can not be read: {unreadable.message}",
            retryable=False,
        ) from None
    if rgb.shape[0] != rgb.shape[1]:
        raise Failure(
            "runner_failed",
            "bad_picture",
            f"The model painted {rgb.shape[1]} x {rgb.shape[0]} pixels where a square was asked "
            "for.",
            retryable=False,
        )
    _check_shown(rgb)
    return rgb if rgb.shape[0] == side else resize_bytes(rgb, side, side)


def _check_shown(painted: Bytes) -> None:
    if painted.max() < _DARK:
        raise Failure(
            "runner_failed",
            "picture_black",
            "The model painted a black picture. Its numbers may have run over in half precision: "
            "set STABLE_DIFFUSION_DTYPE=float32, or start the server with --no-half-vae; or a "
            "safety filter has blackened it: try another prompt or seed.",
            retryable=False,
        )
    if np.ptp(painted.reshape(-1, 3), axis=0).max() == 0:
        raise Failure(
            "runner_failed",
            "picture_empty",
            "The model painted a picture of one colour; try another prompt, strength or seed.",
            retryable=False,
        )
