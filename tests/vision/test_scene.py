"""Lines and zones count what really happens, and refuse what makes no sense."""

from collections.abc import Iterable
from typing import Any

import pytest

from usina.apps.vision.detection import Detection
from usina.apps.vision.scene.line import Line, read_lines
from usina.apps.vision.scene.zone import Zone, read_zones
from usina_runner import InvalidInput

SIZE = (200, 100)


def line(**told: Any) -> Line:
    [made] = read_lines([{"start": [100, 100], "end": [100, 0]} | told], SIZE, "bottom")
    return made


def zone(**told: Any) -> Zone:
    square = {"polygon": [[50, 20], [150, 20], [150, 80], [50, 80]]}
    [made] = read_zones([square | told], SIZE, "bottom")
    return made


def walk(place: Line | Zone, points: Iterable[tuple[float, float]], track: int = 1) -> None:
    """Somebody's feet, a tenth of a second from each to the next."""
    for index, (x, y) in enumerate(points):
        box = (x - 5, y - 20, 10, 20)
        place.look([Detection("person", 0.9, box, track)], index / 10)


def crossings(made: Line) -> tuple[int, int]:
    told = made.told()
    return told["forward"]["total"], told["backward"]["total"]


def across(start: int, end: int, y: float = 50) -> list[tuple[float, float]]:
    step = 10 if end > start else -10
    return [(x, y) for x in range(start, end + step, step)]


def test_a_line_counts_by_direction() -> None:
    """This one points up, so its right is the picture's right."""
    made = line(name="door")

    walk(made, across(60, 140), 1)
    walk(made, across(140, 60), 2)
    walk(made, [*across(60, 140), *across(140, 60), *across(60, 140)], 3)

    assert crossings(made) == (3, 2)
    assert made.told()["forward"]["classes"] == {"person": 3}


def test_trembling_on_a_line_crosses_it_once_at_most() -> None:
    made = line()
    feet = [(100 + (0.6 if index % 2 else -0.6), 50.0) for index in range(50)]

    walk(made, [(80, 50), *feet, (80, 50)], 1)
    assert crossings(made) == (0, 0)

    walk(made, [(80, 50), *feet, (120, 50)], 2)
    assert crossings(made) == (1, 0)


def test_who_goes_around_a_line_does_not_cross_it() -> None:
    made = line(start=[100, 60], end=[100, 40])

    walk(made, [(80, 50), (80, 10), (120, 10), (120, 50)], 1)
    assert crossings(made) == (0, 0)

    walk(made, [(80, 50), (120, 50)], 2)
    assert crossings(made) == (1, 0), "also from one frame to the next"


def test_a_line_of_one_direction_leaves_the_other_out() -> None:
    made = line(direction="backward")

    walk(made, [*across(60, 140), *across(140, 60)])

    assert made.told()["backward"]["total"] == 1
    assert "forward" not in made.told()


def test_a_zone_tells_who_was_in_it_for_how_long() -> None:
    made = zone(name="yard")
    walk(made, [*across(10, 190), *across(190, 100)], 1)

    told = made.told()

    assert told["visits"] == {"total": 2, "classes": {"person": 2}}
    assert told["most_at_once"] == 1
    assert told["longest_stay_seconds"] == pytest.approx(0.9)
    assert told["occupied_seconds"] == pytest.approx(1.4)
    assert 0 < told["mean"] < 1


def test_a_zone_counts_those_who_are_there_together_and_a_gap_ends_no_visit() -> None:
    made = zone()
    one = Detection("person", 0.9, (60, 30, 10, 20), 1)
    two = Detection("dog", 0.9, (100, 30, 10, 20), 2)

    for index, found in enumerate([[one, two], [one], [], [one, two]]):
        made.look(found, index)

    told = made.told()
    assert told["most_at_once"] == 2
    assert told["visits"] == {"total": 2, "classes": {"dog": 1, "person": 1}}
    assert told["longest_stay_seconds"] == 3


def test_a_zone_with_a_dent_holds_what_is_in_it_alone() -> None:
    made = zone(polygon=[[0, 0], [200, 0], [200, 100], [100, 50], [0, 100]])

    assert made.holds((100, 40))
    assert not made.holds((100, 60))
    assert made.holds((20, 80))


def test_places_may_be_told_in_parts_of_the_picture() -> None:
    made = zone(polygon=[[0.25, 0], [0.5, 0], [0.5, 1]], unit="fraction")

    assert made.told()["polygon"] == [[50, 0], [100, 0], [100, 100]]
    assert line(start=[0.5, 1], end=[0.5, 0], unit="fraction").told()["start"] == [100, 100]


WRONG = {
    "outside": ({"lines": [{"start": [0, 0], "end": [201, 50]}]}, "place_outside"),
    "pixels as parts": (
        {"zones": [{"polygon": [[0, 0], [50, 0], [50, 50]], "unit": "fraction"}]},
        "place_outside",
    ),
    "no number": ({"lines": [{"start": [0, float("nan")], "end": [9, 9]}]}, "place_outside"),
    "a point": ({"lines": [{"start": [5, 5], "end": [5.2, 5]}]}, "line_without_length"),
    "parts as pixels": (
        {"zones": [{"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}]},
        "zone_without_area",
    ),
    "in a row": ({"zones": [{"polygon": [[0, 0], [50, 50], [100, 100]]}]}, "zone_without_area"),
    "twice": (
        {"lines": [{"name": "a", "start": [0, 0], "end": [9, 9]}] * 2},
        "name_twice",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_places_that_make_no_sense_are_refused(case: str) -> None:
    told, reason = WRONG[case]

    def read() -> None:
        read_lines(told.get("lines", []), SIZE, "bottom")
        read_zones(told.get("zones", []), SIZE, "bottom")

    with pytest.raises(InvalidInput) as refused:
        read()

    assert refused.value.reason == reason
    assert next(iter(told)) in refused.value.message
