"""``detections.ndjson``: a line for each detection, written as they come."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from usina.apps.vision.detection import Detection
from usina.apps.vision.film.frame import Frame

NAME = "detections.ndjson"


class Records:
    """Lines of ``frame_number, time_seconds, class_name, confidence, bounding_box`` (left, top,
    width, height in pixels of the upright file) and ``track_id``."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._file = file

    def add(self, frame: Frame, found: Sequence[Detection]) -> None:
        for each in found:
            line = {
                "frame_number": frame.number,
                "time_seconds": round(frame.seconds, 6),
                "class_name": each.class_name,
                "confidence": round(each.confidence, 4),
                "bounding_box": [round(side, 2) for side in each.box],
                "track_id": each.track_id,
            }
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


@contextmanager
def records(folder: Path) -> Generator[Records]:
    with (folder / NAME).open("w", encoding="utf-8") as file:
        yield Records(file)
