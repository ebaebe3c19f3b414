"""The detector that a warm program keeps, and its settings."""

import os
import signal
from dataclasses import dataclass, field
from typing import Any, Final

from usina.apps.vision.detection import Detection
from usina.apps.vision.network.detector import Detector
from usina.apps.vision.network.fault import Unusable
from usina.apps.vision.network.home import find_model
from usina.imaging.array import Bytes
from usina.imaging.notice import Notice
from usina_runner import Failure

THRESHOLD: Final = "DETECTION_CONFIDENCE_THRESHOLD"
USUAL_THRESHOLD: Final = 0.25

_REPLACED: Final = Failure(
    "unavailable",
    "model_replaced",
    "The detector's file was replaced; the next attempt takes the new one.",
    retryable=True,
)


@dataclass
class Lodge:
    """Keeps a detector as long as nothing that it was made of changes."""

    _made_of: Any = None
    _kept: list[Detector] = field(default_factory=list[Detector])

    def detector(self, cores: int) -> Detector:
        """That of the settings; raises ``Unusable``.

        The walls around a warm program let it read the file that was there when it started, not
        one that was put in its place since. Then this process leaves after the job, which is tried
        again in a new one."""
        try:
            file = find_model()
        except Unusable as fault:
            if self._kept and isinstance(fault.__cause__, PermissionError):
                signal.raise_signal(signal.SIGTERM)
                raise _REPLACED from fault
            raise
        made_of = file, cores, os.environ.get("DETECTION_PROVIDER")
        if made_of != self._made_of or not self._kept:
            self._kept.clear()
            self._kept.append(Detector(file, cores))
            self._made_of = made_of
        return self._kept[0]


@dataclass(frozen=True, slots=True)
class Looking:
    """A detector with what a job asks of it."""

    detector: Detector
    overlap: float

    def find(self, rgb: Bytes, least: float) -> list[Detection]:
        return self.detector.find(rgb, least, self.overlap)


def threshold() -> float:
    """What `confidence` is unless a job tells; raises ``Unusable``."""
    told = os.environ.get(THRESHOLD)
    if not told:
        return USUAL_THRESHOLD
    try:
        value = float(told)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise Unusable("setting_wrong", f"{THRESHOLD} is {told!r}; it takes a number from 0 to 1.")
    return value


def doubts(detector: Detector, broken: int) -> list[Notice]:
    """What a caller should know about what was found; ``broken`` answers were no numbers."""
    found: list[Notice] = []
    if broken:
        found.append(
            Notice(
                "answers_broken",
                f"{broken} answers of the network were no numbers and were left out. Its export is "
                "probably wrong, often by 16 bits.",
            )
        )
    if detector.names.origin == "assumed":
        found.append(
            Notice(
                "names_assumed",
                "The network has 80 classes and no names, so they are called as COCO's. A file "
                "names.txt beside it takes their place.",
            )
        )
    if detector.names.origin == "numbers":
        found.append(
            Notice(
                "names_unknown",
                "The network does not name its classes; they are told by number. A file names.txt "
                "beside it, with a name in each line, helps.",
            )
        )
    return found
