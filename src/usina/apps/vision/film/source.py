"""What a job looks at: a film or a single picture, told alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from usina.apps.vision.film.frame import Frame
from usina.apps.vision.film.video import Video
from usina.imaging.notice import Notice
from usina.imaging.picture import Picture, open_picture
from usina_runner import InvalidInput, Job


class Source(Protocol):
    """``width`` and ``height`` are those of the upright file; frames may be smaller, alike."""

    width: int
    height: int
    moving: bool

    @property
    def share(self) -> float:
        """How much of the file is read, 0 to 1."""
        ...

    @property
    def notices(self) -> Sequence[Notice]:
        """What was odd about the file, as far as it is read."""
        ...

    def frames(self, every: int) -> Iterator[Frame]:
        """Every so many-th frame, the first included."""
        ...

    def told(self) -> dict[str, Any]:
        """Its entry in a report."""
        ...


@dataclass
class Still:
    """A picture, as a film of one frame."""

    picture: Picture
    share: float = 0.0
    moving: bool = False

    def __post_init__(self) -> None:
        self.width, self.height = self.picture.full_width, self.picture.full_height

    @property
    def notices(self) -> Sequence[Notice]:
        return self.picture.notices

    def frames(self, every: int) -> Iterator[Frame]:
        yield Frame(0, 0.0, self.picture.rgb)
        self.share = 1.0

    def told(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height}


def open_source(job: Job) -> Source:
    """The one file of the inputs ``video`` and ``image``; raises ``InvalidInput``."""
    given = {name: paths[0] for name in ("video", "image") if (paths := _paths(job, name))}
    if len(given) != 1:
        raise InvalidInput(
            "one_input",
            "Send either a video or an image"
            + (", not both in one job." if given else "; neither is there."),
        )
    if "image" in given:
        return Still(open_picture(given["image"]))
    return Video(given["video"], job.cores)


def _paths(job: Job, name: str) -> list[Path]:
    return job.inputs.get(name, [])
