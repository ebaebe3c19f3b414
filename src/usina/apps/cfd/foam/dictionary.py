"""OpenFOAM's dictionaries, written from numbers and from words of this program alone.

A dictionary may run code (``#codeStream``) and read files (``#include``, ``$name``). None of that
can be written here: a `Word` has no such sign, and a number is a number.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

_KEY: Final = re.compile(r"[A-Za-z][\w]*(\([\w,.()*]+\))?")
_WORD: Final = re.compile(r"[A-Za-z][\w.]*(\([\w,.()*]+\))?")


class Word(str):
    """A word of OpenFOAM's: letters, digits, dots, and parentheses as in ``grad(U)``. Raises
    ``ValueError`` for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Word":
        if not _WORD.fullmatch(text):
            raise ValueError(f"{text!r} is no word of a dictionary")
        return super().__new__(cls, text)


class Quoted(Word):
    """A word that has to stand between quotes, as a library's name."""

    __slots__ = ()


class Line(tuple["Value", ...]):
    """Values one after another, without parentheses around them."""

    __slots__ = ()


class Dimensions(tuple[int, ...]):
    """The seven exponents of a unit."""

    __slots__ = ()


Value: TypeAlias = (
    "bool | int | float | Word | Line | Dimensions | Sequence[Value] | Mapping[str, Value]"
)


def words(text: str) -> Line:
    """``words("bounded Gauss linear")``: a line of words."""
    return Line(Word(word) for word in text.split())


def render(kind: str, name: str, content: Mapping[str, Value]) -> str:
    """A file of the class ``kind`` with its header."""
    header: dict[str, Value] = {
        "version": 2.0,
        "format": Word("ascii"),
        "class": Word(kind),
        "object": Word(name),
    }
    return "FoamFile\n" + _table(header, 0) + "\n" + _entries(content, 0)


def _entries(content: Mapping[str, Value], depth: int) -> str:
    return "".join(_entry(key, value, depth) for key, value in content.items())


def _entry(key: str, value: Value, depth: int) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a dictionary")
    space = "    " * depth
    if isinstance(value, Mapping):
        return f"{space}{key}\n{_table(value, depth)}"
    return f"{space}{key} {_shown(value)};\n"


def _table(content: Mapping[str, Value], depth: int) -> str:
    space = "    " * depth
    return f"{space}{{\n{_entries(content, depth + 1)}{space}}}\n"


def _shown(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            if not math.isfinite(value):
                raise ValueError("a number of a dictionary is finite")
            return repr(value)
        case Quoted():
            return f'"{value}"'
        case Word():
            return str(value)
        case Line():
            return " ".join(_shown(part) for part in value)
        case Mapping():
            return f"{{ {' '.join(_entries(value, 0).split())} }}"
        case Sequence() if not isinstance(value, str):
            left, right = "[]" if isinstance(value, Dimensions) else "()"
            return f"{left}{' '.join(_shown(part) for part in value)}{right}"
        case _:
            raise TypeError(f"{type(value).__name__} is nothing that a dictionary holds")
