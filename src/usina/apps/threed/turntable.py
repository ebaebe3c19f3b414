"""A surface turning once around itself, as an animated picture."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from usina.apps.threed.camera import Camera, frame
from usina.apps.threed.studio import FILL, QUICK, Studio
from usina.imaging.array import Bytes, Field

SIDE = 256
FRAMES, SECONDS = 24, 2.4
_PITCH = 12.0
_QUALITY, _EFFORT = 78, 1


def draw_turntable(
    studio: Studio, cores: int, *, between: Callable[[float], None] = lambda share: None
) -> list[Bytes]:
    """The frames, each ``(256, 256, 3)``, drawn by as many threads as there are ``cores``. After
    each ``between`` is called with the share of the work that is done; it may raise to stop it."""
    ring = _swept(studio.surface.points)
    cameras = [_camera(ring, 360 * number / FRAMES - 30) for number in range(FRAMES)]
    frames: list[Bytes] = []

    def photograph(camera: Camera) -> Bytes:
        return studio.photograph(camera, QUICK)

    with ThreadPoolExecutor(cores) as pool:
        try:
            for drawn in pool.map(photograph, cameras):
                frames.append(drawn)
                between(len(frames) / FRAMES)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return frames


def encode_webp(frames: list[Bytes]) -> bytes:
    """An endless loop of `SECONDS`. The same frames give the same bytes."""
    file = io.BytesIO()
    first, *others = (Image.fromarray(pixels) for pixels in frames)
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=round(1000 * SECONDS / FRAMES),
        loop=0,
        quality=_QUALITY,
        method=_EFFORT,
        kmax=1,
    )
    return file.getvalue()


def _swept(points: Field) -> Field:
    """Rings that enclose everything that the points pass through as they turn, so that every
    frame shows them from the same distance."""
    reach = float(np.hypot(points[:, 0], points[:, 2]).max())
    turn = np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    rings = (
        np.column_stack([reach * np.cos(turn), np.full(FRAMES, level), reach * np.sin(turn)])
        for level in (points[:, 1].min(), points[:, 1].max())
    )
    return np.concatenate([*rings])


def _camera(ring: Field, yaw: float) -> Camera:
    return frame(ring, yaw, _PITCH, SIDE, SIDE, FILL + 0.1)
