"""A whole job: frames come, things are found and followed, drawn and counted, and told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from PIL import Image

from usina.apps.vision.detection import Detection, scaled
from usina.apps.vision.drawing import Artist
from usina.apps.vision.film.frame import Frame
from usina.apps.vision.film.source import Source
from usina.apps.vision.film.video import Video
from usina.apps.vision.film.writer import Film, film
from usina.apps.vision.record import NAME, Records, records
from usina.apps.vision.scene.line import Line, read_lines
from usina.apps.vision.scene.zone import Zone, read_zones
from usina.apps.vision.tally import Tally
from usina.apps.vision.track.tracker import Tracker
from usina.imaging.array import Bytes
from usina.imaging.notice import Notice
from usina_runner import Job

FAINT: Final = 0.1
"""A confidence at which something is not told but may go on a track."""

_BEGUN, _SEEN = 0.05, 0.97


class Finder(Protocol):
    """What looks at a frame: a network, or a method without weights."""

    def find(self, rgb: Bytes, least: float) -> list[Detection]:
        """What is in it with a confidence of ``least`` or more, in its pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asks for; an empty ``classes`` is all of them."""

    confidence: float
    classes: frozenset[str]
    every: int
    patience: float
    lines: Sequence[Line]
    zones: Sequence[Zone]
    annotate: bool

    @classmethod
    def of(
        cls, params: Mapping[str, Any], source: Source, confidence: float, classes: frozenset[str]
    ) -> "Wish":
        """Raises ``InvalidInput`` for places that are not in the picture."""
        size, anchor = (source.width, source.height), params["anchor"]
        return cls(
            confidence=confidence,
            classes=classes,
            every=params["every_n_frames"],
            patience=params["track_seconds"],
            lines=read_lines(params["lines"], size, anchor),
            zones=read_zones(params["zones"], size, anchor),
            annotate=params["annotate"],
        )


class Watch:
    """One job's frames, one after another; nothing of them is kept."""

    def __init__(self, job: Job, source: Source, finder: Finder, wish: Wish) -> None:
        self.tally = Tally(followed=source.moving)
        self._job, self._source, self._finder, self._wish = job, source, finder, wish
        self._tracker = Tracker(wish.patience) if source.moving else None
        self._artist = Artist(source.width, source.height, wish.lines, wish.zones)

    def run(self) -> None:
        """Writes the records and the drawing; leaves by ``Cancelled`` between frames."""
        with ExitStack() as open_files:
            sheet = open_files.enter_context(records(self._job.outputs))
            drawn = self._opened(open_files)
            for frame in self._frames():
                self._look(frame, sheet, drawn)
        self._job.artifact(NAME, "data")
        self._job.records(NAME)
        if drawn is not None:
            self._job.artifact("annotated.mp4", "video")
        elif self._wish.annotate:
            self._job.artifact("annotated.jpg", "image")

    def report(self, notices: Sequence[Notice]) -> dict[str, Any]:
        """What both kinds of source tell of."""
        tracked = self._tracker is not None
        return {
            "video" if tracked else "image": self._source.told(),
            "frames": self.tally.frames,
            "detections": self.tally.detections,
            "counts": self.tally.told(),
            "lines": [line.told() for line in self._wish.lines],
            "zones": [zone.told() for zone in self._wish.zones],
            "warnings": [notice.as_json() for notice in (*self._source.notices, *notices)],
        }

    def _opened(self, open_files: ExitStack) -> Film | None:
        source = self._source
        if not self._wish.annotate or not isinstance(source, Video):
            return None
        path = self._job.outputs / "annotated.mp4"
        width, height = self._artist.width, self._artist.height
        rate = source.rate / self._wish.every
        made = open_files.enter_context(film(path, width, height, rate, self._job.cores))
        made.set_aspect(source.aspect)
        return made

    def _frames(self) -> Iterator[Frame]:
        for frame in self._source.frames(self._wish.every):
            yield frame
            self._job.progress(_BEGUN + (_SEEN - _BEGUN) * self._source.share)

    def _look(self, frame: Frame, sheet: Records, drawn: Film | None) -> None:
        found = self._found(frame)
        for place in (*self._wish.lines, *self._wish.zones):
            place.look(found, frame.seconds)
        self.tally.add(found)
        self._forget()
        sheet.add(frame, found)
        if self._wish.annotate:
            picture = self._artist.draw(frame.rgb, found)
            if drawn is None:
                Image.fromarray(picture).save(self._job.outputs / "annotated.jpg", quality=92)
            else:
                drawn.add(picture, frame.seconds)

    def _found(self, frame: Frame) -> list[Detection]:
        """In pixels of the file, each with its track."""
        wish = self._wish
        least = min(FAINT, wish.confidence) if self._tracker else wish.confidence
        factor = self._source.width / frame.rgb.shape[1]
        found = [
            replace(each, box=scaled(each.box, factor))
            for each in self._finder.find(frame.rgb, least)
            if not wish.classes or each.class_name in wish.classes
        ]
        if self._tracker is None:
            return found
        return self._tracker.follow(found, frame.seconds, wish.confidence)

    def _forget(self) -> None:
        """Nothing is kept of what cannot come again."""
        if self._tracker is not None:
            living = {track.number for track in self._tracker.tracks}
            for each in (*self._wish.lines, *self._wish.zones, self.tally):
                each.forget(living)
