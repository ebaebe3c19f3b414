"""Zones, who is in them and for how long."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from usina.apps.vision.detection import Detection
from usina.apps.vision.scene.place import Anchor, Point, anchor_of, check_names, name_of, point
from usina_runner import InvalidInput

_SMALLEST = 1.0


class Zone:
    """A polygon in pixels; where its edges cross, what an odd number of them encloses is inside."""

    def __init__(self, name: str, corners: Sequence[Point], anchor: Anchor) -> None:
        self.name, self.corners = name, tuple(corners)
        self.inside = 0
        self._anchor: Anchor = anchor
        self._most: Counter[str] = Counter()
        self._most_at_once = 0
        self._frames = 0
        self._sum = 0
        self._visits: Counter[str] = Counter()
        self._since: dict[int, float] = {}
        self._longest = 0.0
        self._occupied = 0.0
        self._before: float | None = None

    def look(self, detections: Sequence[Detection], seconds: float) -> None:
        if self.inside and self._before is not None:
            self._occupied += seconds - self._before
        self._before = seconds
        present = [each for each in detections if self.holds(anchor_of(each.box, self._anchor))]
        self.inside = len(present)
        self._frames += 1
        self._sum += len(present)
        self._most_at_once = max(self._most_at_once, len(present))
        for name, count in Counter(each.class_name for each in present).items():
            self._most[name] = max(self._most[name], count)
        self._stay(detections, present, seconds)

    def forget(self, living: set[int]) -> None:
        """All but the tracks that may come again."""
        self._since = {track: when for track, when in self._since.items() if track in living}

    def holds(self, there: Point) -> bool:
        x, y = there
        inside = False
        for one, two in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if (one[1] > y) != (two[1] > y):
                across = one[0] + (y - one[1]) * (two[0] - one[0]) / (two[1] - one[1])
                inside ^= x < across
        return inside

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "polygon": [[round(value, 2) for value in corner] for corner in self.corners],
            "most_at_once": self._most_at_once,
            "most_at_once_by_class": dict(sorted(self._most.items())),
            "mean": round(self._sum / self._frames, 4) if self._frames else 0.0,
            "visits": {
                "total": self._visits.total(),
                "classes": dict(sorted(self._visits.items())),
            },
            "occupied_seconds": round(self._occupied, 3),
            "longest_stay_seconds": round(self._longest, 3),
        }

    def _stay(
        self, detections: Sequence[Detection], present: Sequence[Detection], seconds: float
    ) -> None:
        here = {each.track_id for each in present}
        for each in detections:
            track = each.track_id
            if track is None:
                continue
            if track not in here:
                self._since.pop(track, None)
                continue
            if track not in self._since:
                self._since[track] = seconds
                self._visits[each.class_name] += 1
            self._longest = max(self._longest, seconds - self._since[track])


def read_zones(
    told: Sequence[Mapping[str, Any]], size: tuple[int, int], anchor: Anchor
) -> list[Zone]:
    """The parameter ``zones`` for a picture of that size; raises ``InvalidInput``."""
    zones: list[Zone] = []
    for index, each in enumerate(told):
        pointer, unit = f"zones/{index}", each.get("unit", "pixel")
        corners = [
            point(corner, unit, size, f"{pointer}/polygon/{place}")
            for place, corner in enumerate(each["polygon"])
        ]
        if _reach(corners) < _SMALLEST:
            raise InvalidInput(
                "zone_without_area", f"{pointer}: its corners lie in a row. Give it an area."
            )
        zones.append(Zone(name_of(each, "zone", index), corners, anchor))
    check_names([zone.name for zone in zones], "zones")
    return zones


def _reach(corners: Sequence[Point]) -> float:
    """Twice the largest triangle of neighbouring corners with the first, in square pixels."""
    x, y = corners[0]
    return max(
        abs((one[0] - x) * (two[1] - y) - (one[1] - y) * (two[0] - x))
        for one, two in pairwise(corners[1:])
    )
