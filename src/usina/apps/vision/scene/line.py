"""Lines that are crossed, and how often.

Seen from its start towards its end a line has a left and a right side; crossing it from left to
right is ``forward``. A thing that stands on the line and trembles does not cross it: a side counts
once the thing is beyond the line by a part of its own height.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from usina.apps.vision.detection import Box, Detection
from usina.apps.vision.scene.place import Anchor, Point, anchor_of, check_names, name_of, point
from usina_runner import InvalidInput

_CLEAR = 0.05
_SHORTEST = 1.0


class Line:
    """``crossings`` counts classes by direction, ``forward`` and ``backward``; an ``only`` other
    than ``both`` leaves the other direction out."""

    def __init__(self, name: str, start: Point, end: Point, anchor: Anchor, only: str) -> None:
        self.name, self.start, self.end = name, start, end
        self.crossings: dict[str, Counter[str]] = {
            direction: Counter()
            for direction in ("forward", "backward")
            if only in ("both", direction)
        }
        self._anchor: Anchor = anchor
        self._last: dict[int, Point] = {}

    def look(self, detections: Sequence[Detection], seconds: float) -> None:
        for each in detections:
            if each.track_id is None:
                continue
            here = anchor_of(each.box, self._anchor)
            if abs(self._side(here)) < _clear(each.box):
                continue
            before = self._last.get(each.track_id)
            self._last[each.track_id] = here
            if before is not None and self._crossed(before, here):
                direction = "forward" if self._side(here) > 0 else "backward"
                if direction in self.crossings:
                    self.crossings[direction][each.class_name] += 1

    def forget(self, living: set[int]) -> None:
        """All but the tracks that may come again."""
        self._last = {track: last for track, last in self._last.items() if track in living}

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "start": _rounded(self.start),
            "end": _rounded(self.end),
            **{
                direction: {"total": counts.total(), "classes": dict(sorted(counts.items()))}
                for direction, counts in self.crossings.items()
            },
        }

    def _side(self, here: Point) -> float:
        """How far right of the line, in pixels; less than 0 to its left."""
        return _turn(self.start, self.end, here) / _distance(self.start, self.end)

    def _crossed(self, before: Point, here: Point) -> bool:
        if self._side(before) * self._side(here) >= 0:
            return False
        return _turn(before, here, self.start) * _turn(before, here, self.end) <= 0


def read_lines(
    told: Sequence[Mapping[str, Any]], size: tuple[int, int], anchor: Anchor
) -> list[Line]:
    """The parameter ``lines`` for a picture of that size; raises ``InvalidInput``."""
    lines: list[Line] = []
    for index, each in enumerate(told):
        pointer, unit = f"lines/{index}", each.get("unit", "pixel")
        start = point(each["start"], unit, size, f"{pointer}/start")
        end = point(each["end"], unit, size, f"{pointer}/end")
        if _distance(start, end) < _SHORTEST:
            raise InvalidInput(
                "line_without_length", f"{pointer}: it starts where it ends. Give it two points."
            )
        name = name_of(each, "line", index)
        lines.append(Line(name, start, end, anchor, each.get("direction", "both")))
    check_names([line.name for line in lines], "lines")
    return lines


def _clear(box: Box) -> float:
    return _CLEAR * box[3]


def _turn(one: Point, two: Point, three: Point) -> float:
    """Twice the area of the triangle; above 0 where ``three`` is right of the way from one to two,
    as y counts downwards."""
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])


def _distance(one: Point, two: Point) -> float:
    return float(((two[0] - one[0]) ** 2 + (two[1] - one[1]) ** 2) ** 0.5)


def _rounded(there: Point) -> list[float]:
    return [round(value, 2) for value in there]
