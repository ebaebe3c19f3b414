"""Where boxes are and how they move: a Kalman filter of constant velocity, for many at once.

A box is its middle x, middle y, width and height in pixels; each of the four moves by itself, so
that a filter is a place, a speed and three covariances, and all filters are a handful of arrays.
Noise grows with the box: what is near the camera moves by more pixels. The discrete white-noise
acceleration model (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and
Navigation, 2001, section 6.2) with the time between frames, which may differ from one to the next.
"""

from dataclasses import dataclass

import numpy as np

from usina.imaging.array import Bits, Field, Indices

_MEASURED = 0.05
"""Standard deviation of a measured side, as a share of the box's size."""

_FIRST_SPEED = np.array([5.0, 5.0, 0.5, 0.5])
"""Of the speed of what was seen once, in sizes a second."""

_UNREST = np.array([4.0, 4.0, 0.5, 0.5])
"""Of the change of speed in a second, in sizes a second."""

_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Motion:
    """Each ``(n, 4)``; the covariances are of place, of place with speed, and of speed."""

    place: Field
    speed: Field
    of_place: Field
    of_both: Field
    of_speed: Field

    @classmethod
    def started(cls, measured: Field) -> "Motion":
        """Filters of boxes ``(n, 4)`` that were seen once."""
        size = _size(measured)
        return cls(
            measured.copy(),
            np.zeros_like(measured),
            np.repeat((_MEASURED * size) ** 2, 4, axis=1),
            np.zeros_like(measured),
            (_FIRST_SPEED * size) ** 2,
        )

    def after(self, seconds: float) -> "Motion":
        """So much later, without having looked."""
        unrest = (_UNREST * _size(self.place)) ** 2
        place = self.place + seconds * self.speed
        place[:, 2:] = np.maximum(place[:, 2:], _LEAST)
        return Motion(
            place,
            self.speed,
            self.of_place
            + 2 * seconds * self.of_both
            + seconds**2 * self.of_speed
            + unrest * seconds**3 / 3,
            self.of_both + seconds * self.of_speed + unrest * seconds**2 / 2,
            self.of_speed + unrest * seconds,
        )

    def corrected(self, rows: Indices, measured: Field) -> "Motion":
        """With the boxes ``(m, 4)`` that the filters ``rows`` were seen at."""
        gap = measured - self.place[rows]
        total = self.of_place[rows] + (_MEASURED * _size(measured)) ** 2
        pull, push = self.of_place[rows] / total, self.of_both[rows] / total
        place, speed = self.place.copy(), self.speed.copy()
        of_place, of_both, of_speed = (
            each.copy() for each in (self.of_place, self.of_both, self.of_speed)
        )
        place[rows] += pull * gap
        speed[rows] += push * gap
        of_speed[rows] -= push * self.of_both[rows]
        of_both[rows] *= 1 - pull
        of_place[rows] *= 1 - pull
        return Motion(place, speed, of_place, of_both, of_speed)

    def with_more(self, other: "Motion") -> "Motion":
        return Motion(
            *(
                np.concatenate([mine, theirs])
                for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)
            )
        )

    def only(self, which: Bits) -> "Motion":
        return Motion(*(array[which] for array in self._arrays()))

    def _arrays(self) -> tuple[Field, Field, Field, Field, Field]:
        return self.place, self.speed, self.of_place, self.of_both, self.of_speed


def _size(boxes: Field) -> Field:
    """The geometric mean of width and height, ``(n, 1)``."""
    return np.sqrt(np.maximum(boxes[:, 2:3], _LEAST) * np.maximum(boxes[:, 3:4], _LEAST))
