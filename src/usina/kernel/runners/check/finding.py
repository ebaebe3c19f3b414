"""A check of the contract, and what it found."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from usina.kernel.runners.check.subject import Subject

Verdict = Literal["passed", "failed", "not checked"]


class Broken(Exception):
    """The program does not keep the contract; the message says where, and what to do."""


class Unchecked(Exception):
    """The check says nothing about this program, or can not be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """``name`` is stable; ``sentence`` is what holds when it has passed.

    ``run`` answers a word about what was seen, or raises `Broken` or `Unchecked`.
    """

    name: str
    sentence: str
    run: "Callable[[Subject], Awaitable[str]]"


@dataclass(frozen=True, slots=True)
class Finding:
    """``why`` is what was wrong, why nothing could be said, or what was seen."""

    name: str
    sentence: str
    verdict: Verdict
    why: str
    seconds: float
