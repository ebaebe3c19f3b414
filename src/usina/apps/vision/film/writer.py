"""A film that every browser plays: H.264 in MP4, its index at the front."""

from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.frame import VideoFrame

from usina.imaging.array import Bytes

_ENCODERS = ("libx264", "libopenh264", "libvpx-vp9")
"""By preference. FFmpeg built without its GPL parts lacks the first."""

_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "libopenh264": {"rc_mode": "quality"},
    "libvpx-vp9": {"crf": "34", "b": "0", "deadline": "realtime", "cpu-used": "7"},
}
_TICK = Fraction(1, 90_000)


class Film:
    """An MP4 file in the making; frames of ``width`` x ``height`` at rising times."""

    def __init__(self, path: Path, width: int, height: int, rate: Fraction, cores: int) -> None:
        name = encoder()
        self._rim = height % 2, width % 2
        self._last = -1
        options = {"movflags": "+faststart"}
        self._container: Any = av.open(str(path), "w", format="mp4", options=options)
        stream = self._container.add_stream(name, rate=rate, options=dict(_OPTIONS[name]))
        stream.width, stream.height = width + self._rim[1], height + self._rim[0]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TICK
        stream.codec_context.thread_count = cores
        self._stream = stream

    def set_aspect(self, aspect: Fraction) -> None:
        """How wide a pixel is shown for its height; before the first frame."""
        self._stream.codec_context.sample_aspect_ratio = aspect

    def add(self, rgb: Bytes, seconds: float) -> None:
        frame = VideoFrame.from_ndarray(self._even(rgb), format="rgb24")
        frame.pts = self._last = max(self._last + 1, round(seconds / _TICK))
        frame.time_base = _TICK
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        self._container.close()

    def _even(self, rgb: Bytes) -> Bytes:
        """With a row and a column more where their number is odd, which the encoder refuses."""
        bottom, right = self._rim
        if not bottom and not right:
            return rgb
        grown = cv2.copyMakeBorder(rgb, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        return grown.astype("uint8", copy=False)


@contextmanager
def film(path: Path, width: int, height: int, rate: Fraction, cores: int) -> Generator[Film]:
    """Whole at the end of the block; one that is left by an error is not finished."""
    made = Film(path, width, height, rate, cores)
    try:
        yield made
        made.finish()
    finally:
        made.close()


def encoder() -> str:
    """The best encoder that this FFmpeg has."""
    return next(name for name in _ENCODERS if _has(name))


def _has(name: str) -> bool:
    try:
        Codec(name, "w")
    except UnknownCodecError:
        return False
    return True
