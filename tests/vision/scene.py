"""Drawn pictures and films whose truth is known."""

import io
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

COLOURS = {"red": (225, 20, 20), "green": (15, 190, 25), "blue": (20, 25, 220)}
GREY = (198, 200, 204)
WIDTH, HEIGHT = 320, 256

Box = tuple[float, float, float, float]


def picture(things: Iterable[tuple[str, Box]], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    """``(h, w, 3)``: rectangles of named colours on grey, the later over the earlier."""
    rgb = np.empty((size[1], size[0], 3), np.uint8)
    rgb[:] = GREY
    for colour, (left, top, width, height) in things:
        x, y = max(0, round(left)), max(0, round(top))
        rgb[y : max(0, round(top + height)), x : max(0, round(left + width))] = COLOURS[colour]
    return rgb


def encoded(rgb: Any, form: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    Image.fromarray(rgb).save(held, form, **options)
    return held.getvalue()


def film(
    path: Path,
    frames: Sequence[Any],
    *,
    rate: int = 10,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    form: str | None = None,
    front: bool = True,
) -> Path:
    """The frames ``(h, w, 3)`` at their ``times`` in seconds, else at the rate."""
    options = {"movflags": "+faststart"} if front and path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", format=form, options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "12", "preset": "ultrafast", "g": "5"}
        tick = Fraction(1, 1000 if times is not None else rate)
        stream.codec_context.time_base = tick
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = round((times[index]) / tick) if times is not None else index
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def moving(count: int, things: Callable[[int], Iterable[tuple[str, Box]]]) -> list[Any]:
    return [picture(things(index)) for index in range(count)]


def turned(path: Path) -> Path:
    """As a phone held upright writes it: shown turned by a quarter to the right."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    width = struct.unpack_from(">I", data, at + 36)[0]
    matrix = (0, 0x10000, 0, -0x10000, 0, 0, width, 0, 0x40000000)
    struct.pack_into(">9i", data, at, *matrix)
    path.write_bytes(bytes(data))
    return path


def sound(path: Path) -> Path:
    """A film without pictures."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=48_000)
        stream.layout = "mono"
        for index in range(10):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def played(path: Path) -> list[tuple[float, Any]]:
    """Each frame of a film with its time."""
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]
