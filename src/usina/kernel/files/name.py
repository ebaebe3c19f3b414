"""Names as people gave them: text to show, never a path."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

_SEPARATOR: Final = re.compile(r"[/\\]+")
_LONGEST: Final = 255
_LONGEST_SUFFIX: Final = 16
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, marks that turn the reading direction, lone surrogates, line breaks."""

_JOINERS: Final = "\u200c\u200d"
"""Invisible too, but part of how some scripts and signs are written."""


def display_name(given: str) -> str:
    """The last part of the name without what can not be shown, at most 255 characters."""
    last = _SEPARATOR.split(given.rstrip("/\\"))[-1]
    shown = last if last.isascii() and last.isprintable() else "".join(filter(_is_shown, last))
    shown = shown.strip()
    if not shown.strip("."):
        return "file"
    if len(shown) <= _LONGEST:
        return shown
    suffix = PurePosixPath(shown).suffix[:_LONGEST_SUFFIX]
    return shown[: _LONGEST - len(suffix)] + suffix


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _HIDDEN
