"""Frames out of a hostile film, one after another.

Nothing the file claims is believed: its length is found by reading it, its times are checked, and
its bytes say how far it is read. What cannot be read at all raises ``InvalidInput`` with one of the
reasons ``video_unreadable``, ``video_without_pictures``, ``video_too_large`` and
``video_too_small``; what breaks later ends the film there, with a notice.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from usina.apps.vision.film.frame import Frame
from usina.imaging.array import Bytes
from usina.imaging.notice import Notice
from usina.imaging.picture import MIN_SIDE
from usina_runner import InvalidInput

MAX_PIXELS = 4096 * 4096
"""Of a frame; a decoder holds a dozen and more of them."""

MAX_FRAMES = 5_000_000
"""More than two days at 25 frames a second."""

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv"
_HOPELESS = 200
"""Packets in a row that give no frame, after which the rest is taken for broken."""

_USUAL_RATE = Fraction(25)
_SHORT = 0.9


class Video:
    """A film that is open; ``width`` and ``height`` are upright, ``rate`` is frames a second."""

    moving = True

    def __init__(self, path: Path, cores: int, most_frames: int = MAX_FRAMES) -> None:
        self._size = max(1, path.stat().st_size)
        self._most = most_frames
        self._read = 0
        self._damaged = 0
        self._mended = 0
        self._resized = False
        self._broken = False
        self._more = False
        self.frames_read = 0
        self.seconds = 0.0
        with _refused():
            self._container = av.open(
                str(path),
                options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            )
            self._stream = _pictures(self._container.streams.video)
            _check(self._stream.width, self._stream.height)
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = cores
            self._stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.rate = _rate(self._stream)
        self._claimed = _claimed(self._container, self._stream)
        self.aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self._decoded = self._decode()
        with _refused():
            self._first = next(self._decoded, None)
        if self._first is None:
            raise _unreadable()
        self._stored = self._first.width, self._first.height
        self._turns = round(self._first.rotation / 90) % 4
        lying = self._turns % 2 == 1
        self.width, self.height = reversed(self._stored) if lying else self._stored
        self.aspect = 1 / self.aspect if lying else self.aspect
        _check(self.width, self.height)

    @property
    def share(self) -> float:
        return min(1.0, self._read / self._size)

    def frames(self, every: int) -> Iterator[Frame]:
        """Every ``every``-th frame; may be asked for once."""
        assert self._first is not None
        start: float | None = None
        for frame in self._from_first():
            number, self.frames_read = self.frames_read, self.frames_read + 1
            told = _time_of(frame)
            start = (told or 0.0) if start is None else start
            self.seconds = self._next_time(number, None if told is None else told - start)
            if number % every == 0:
                yield Frame(number, self.seconds, self._upright(frame))
            if self.frames_read >= self._most:
                self._more = True
                break
        self._container.close()

    @property
    def notices(self) -> list[Notice]:
        found: list[Notice] = []
        if self._broken:
            found.append(
                Notice(
                    "video_broken",
                    f"The film breaks after {self.frames_read} frames, at {self.seconds:.2f} s; "
                    "what follows was not seen.",
                )
            )
        elif self._ends_early():
            found.append(
                Notice(
                    "video_ends_early",
                    f"The film says that it lasts {self._claimed:.1f} s but ends at "
                    f"{self.seconds:.1f} s; it may have been cut while it was copied.",
                )
            )
        if self._damaged and not self._broken:
            found.append(
                Notice("frames_damaged", f"{self._damaged} pieces of the film cannot be decoded.")
            )
        if self._mended:
            found.append(
                Notice(
                    "times_mended",
                    f"{self._mended} frames have no time or one that goes back; theirs was taken "
                    "from the frame rate.",
                )
            )
        if self._resized:
            found.append(
                Notice(
                    "size_changes", "The size of the frames changes; all were brought to the first."
                )
            )
        if self._more:
            found.append(
                Notice("video_too_long", f"Only the first {self._most} frames were looked at.")
            )
        return found

    def told(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "height": self.height,
            "frames_read": self.frames_read,
            "seconds": round(self.seconds, 6),
            "frame_rate": round(float(self.rate), 4),
        }

    def _from_first(self) -> Iterator[VideoFrame]:
        assert self._first is not None
        yield self._first
        yield from self._decoded

    def _decode(self) -> Iterator[VideoFrame]:
        silent = 0
        for packet in self._packets():
            if packet.pos is not None:
                self._read = max(self._read, packet.pos + packet.size)
            try:
                frames = packet.decode()
            except FFmpegError:
                self._damaged += 1
                frames = []
                silent += 1
            for frame in frames:
                silent = 0
                yield frame
            if silent > _HOPELESS:
                self._broken = True
                return

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        """Until the end, or until the container breaks."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:
                self._broken = True
                return
            if packet is None:
                return
            yield packet

    def _next_time(self, number: int, told: float | None) -> float:
        """The time that the container tells, where it goes on; else a frame later."""
        if number == 0:
            return 0.0
        if told is None or told <= self.seconds:
            self._mended += 1
            return self.seconds + float(1 / self.rate)
        return told

    def _upright(self, frame: VideoFrame) -> Bytes:
        if (frame.width, frame.height) != self._stored:
            self._resized = True
        width, height = self._stored
        rgb = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(rgb, self._turns)).astype(np.uint8, copy=False)

    def _ends_early(self) -> bool:
        after = self.seconds + float(1 / self.rate)
        return not self._more and after < _SHORT * self._claimed


def _pictures(streams: tuple[VideoStream, ...]) -> VideoStream:
    """The first stream that moves; the cover of a piece of music does not."""
    for stream in streams:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise InvalidInput(
        "video_without_pictures",
        "The file has no moving pictures, perhaps only sound. Send a film.",
    )


def _check(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InvalidInput(
            "video_too_large",
            f"The film has {width} x {height} pixels; at most {MAX_PIXELS} are taken, as 4096 x "
            "4096. Scale it down.",
        )
    if 0 < min(width, height) < MIN_SIDE:
        raise InvalidInput(
            "video_too_small",
            f"The film has {width} x {height} pixels; each side needs at least {MIN_SIDE}.",
        )


def _rate(stream: VideoStream) -> Fraction:
    told = stream.average_rate or stream.guessed_rate
    return told if told and 0.01 < told < 1000 else _USUAL_RATE


def _claimed(container: InputContainer, stream: VideoStream) -> float:
    """How long the film says that it is, in seconds; 0 where it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _time_of(frame: VideoFrame) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def _unreadable() -> InvalidInput:
    return InvalidInput(
        "video_unreadable",
        "The film is damaged, not complete or of a kind that is not known. Send a whole MP4, MOV, "
        "WebM, MKV, AVI, MPEG or FLV file.",
    )


@contextmanager
def _refused() -> Generator[None]:
    """Inside, whatever FFmpeg raises over hostile bytes becomes a typed refusal."""
    try:
        yield
    except (FFmpegError, ValueError, OverflowError) as error:
        raise _unreadable() from error
