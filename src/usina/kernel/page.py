"""A page of a list: newest first, stable while rows are added."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next_after`` is the id to continue after, or null on the last page."""

    items: tuple[T, ...]
    next_after: str | None
