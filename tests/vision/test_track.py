"""Things keep their numbers: drawn walks with known truth, and every change of number counted."""

import math
import random
from collections.abc import Callable, Iterable
from itertools import pairwise

from usina.apps.vision.detection import Box, Detection
from usina.apps.vision.track.tracker import Tracker

SURE, FAINT = 0.5, 0.1

Walk = Callable[[float], Box]


def straight(x: float, y: float, across: float, down: float, side: float = 40) -> Walk:
    """Pixels at first, pixels a second."""
    return lambda t: (x + across * t, y + down * t, side, side * 1.6)


def followed(
    walks: Iterable[Walk],
    times: Iterable[float],
    *,
    seen: Callable[[int, float], float] = lambda who, t: 0.9,
    tremble: float = 0.0,
    patience: float = 1.0,
    faint: bool = True,
) -> list[list[int]]:
    """For every walk the numbers that it was given, one after another; ``seen`` is the confidence
    of a walk at a time, 0 where it is not found at all."""
    chance, tracker = random.Random(5), Tracker(patience)
    walks = list(walks)
    given: list[list[int]] = [[] for _ in walks]
    for t in times:
        found: list[tuple[int, Detection]] = []
        for who, walk in enumerate(walks):
            confidence = seen(who, t)
            if confidence >= (FAINT if faint else SURE):
                box = tuple(side + chance.gauss(0, tremble) for side in walk(t))
                found.append((who, Detection("thing", confidence, box)))  # type: ignore[arg-type]
        chance.shuffle(found)
        told = tracker.follow([each for _, each in found], t, SURE)
        sure = [who for who, each in found if each.confidence >= SURE]
        for who, each in zip(sure, told, strict=True):
            assert each.track_id is not None
            given[who].append(each.track_id)
    return given


def switches(given: list[list[int]]) -> int:
    return sum(one != two for numbers in given for one, two in pairwise(numbers))


def steps(count: int, rate: float = 25.0) -> list[float]:
    return [index / rate for index in range(count)]


def test_those_who_walk_through_each_other_keep_their_numbers() -> None:
    walks = [
        straight(0, 100, 90, 0),
        straight(400, 110, -90, 0),
        straight(180, -40, 0, 70),
        straight(190, 330, 4, -70),
    ]

    given = followed(walks, steps(120), tremble=1.5)

    assert switches(given) == 0
    assert len({numbers[0] for numbers in given}) == 4


def test_a_gap_shorter_than_the_patience_is_bridged_and_a_longer_one_is_not() -> None:
    walks = [straight(0, 50, 120, 10), straight(300, 200, -80, -20)]

    def behind(seconds: float) -> Callable[[int, float], float]:
        return lambda who, t: 0.0 if 1.0 < t < 1.0 + seconds else 0.9

    assert switches(followed(walks, steps(75), seen=behind(0.8), tremble=1)) == 0
    assert switches(followed(walks, steps(75), seen=behind(1.4), tremble=1)) == 2
    assert switches(followed(walks, steps(75), seen=behind(1.4), tremble=1, patience=2)) == 0


def test_frames_that_come_unevenly_are_followed_by_their_times() -> None:
    chance = random.Random(1)
    times = [0.0]
    while times[-1] < 4:
        times.append(times[-1] + chance.choice([0.02, 0.04, 0.3]))

    walks = [straight(0, 0, 100, 30), straight(0, 150, 100, -20)]

    assert switches(followed(walks, times, tremble=1)) == 0


def test_what_is_small_and_fast_is_followed_without_any_overlap() -> None:
    walks = [straight(0, 40 * row, 300, 0, side=14) for row in range(5)]

    assert switches(followed(walks, steps(50, 20), tremble=0.5)) == 0


def test_faint_sightings_save_numbers() -> None:
    """Things that turn while they are half hidden: their faint boxes show where, and so save the
    numbers that are lost without them."""

    def circling(x: float, y: float, turn: float) -> Walk:
        return lambda t: (x + 60 * math.cos(turn + 3 * t), y + 60 * math.sin(turn + 3 * t), 36, 50)

    walks = [circling(100 + 110 * column, 90, column * 1.3) for column in range(4)]

    def half_hidden(who: int, t: float) -> float:
        return 0.3 if (t + 0.37 * who) % 2 > 1.1 else 0.9

    with_them = followed(walks, steps(200), seen=half_hidden, tremble=1)
    without = followed(walks, steps(200), seen=half_hidden, tremble=1, faint=False)

    assert switches(with_them) == 0
    assert switches(without) >= 4


def test_classes_are_never_mixed_and_numbers_never_given_twice() -> None:
    tracker = Tracker(patience=0.1)
    seen: list[int] = []
    for index in range(20):
        name = "cat" if index % 2 else "dog"
        [told] = tracker.follow([Detection(name, 0.9, (10, 10, 30, 30))], index / 5, SURE)
        seen.append(told.track_id or 0)

    assert seen == list(range(1, 21))
    assert len(tracker.tracks) <= 2, "what is gone is forgotten"
