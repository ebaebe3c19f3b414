"""How many of what were seen."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from usina.apps.vision.detection import Detection

_PROVEN = 3
"""Frames that a thing has to be seen in, to count as one."""


class Tally:
    """Detections, things and crowds by class, frame after frame; things only where they are
    followed."""

    def __init__(self, *, followed: bool) -> None:
        self.frames = 0
        self._followed = followed
        self._detections: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._living: Counter[int] = Counter()
        self._class_of: dict[int, str] = {}
        self._things: Counter[str] = Counter()

    @property
    def detections(self) -> int:
        return self._detections.total()

    def add(self, found: Sequence[Detection]) -> None:
        self.frames += 1
        for name, count in Counter(each.class_name for each in found).items():
            self._detections[name] += count
            self._most[name] = max(self._most[name], count)
        for each in found:
            if each.track_id is not None:
                self._class_of[each.track_id] = each.class_name
                self._living[each.track_id] += 1

    def forget(self, living: set[int]) -> None:
        """All but the tracks that may come again: those that are gone count, or not, for good."""
        for track in [track for track in self._class_of if track not in living]:
            sightings, name = self._living.pop(track), self._class_of.pop(track)
            if sightings >= min(_PROVEN, self.frames):
                self._things[name] += 1

    def told(self) -> dict[str, Any]:
        """By class; ``objects`` are tracks that were seen in three frames at least, in all where
        there were fewer, and null where nothing is followed."""
        self.forget(set())
        return {
            name: {
                "detections": self._detections[name],
                "objects": self._things[name] if self._followed else None,
                "most_at_once": self._most[name],
            }
            for name in sorted(self._detections)
        }
