"""What the parameters of an object may be: bounds that stand in the signatures of its function."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True, slots=True)
class Length:
    """Bounds in metres."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a part there may be."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Choice:
    """With or without."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text to be written, of at most so many characters."""

    most: int


@dataclass(frozen=True, slots=True)
class Size:
    """A metric thread size by its name, ``M8``."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The seed of natural variation."""


Bound: TypeAlias = Length | Count | Choice | Words | Size | Chance

Option: TypeAlias = Annotated[bool, Choice()]
Seed: TypeAlias = Annotated[int, Chance()]
Thread: TypeAlias = Annotated[str, Size()]


class Impossible(Exception):
    """Lengths that are each in bounds but not together; ``length`` is the one to change, and
    ``low`` to ``high`` what it may be, in metres."""

    def __init__(self, length: str, low: float, high: float) -> None:
        super().__init__(length)
        self.length, self.low, self.high = length, low, high


def within(length: str, value: float, low: float, high: float) -> None:
    """Refuses a length that does not fit the others."""
    if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
        raise Impossible(length, low, high)
