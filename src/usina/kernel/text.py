"""Texts that are kept in columns: none holds U+0000, for which PostgreSQL has no place.

What a caller names is refused with it; what a program prints, or only hints, loses it. Parameters
and other JSON are kept as they were written.
"""

from usina.kernel.errors import Invalid

_NUL = "\0"


def refuse_nul(text: str, pointer: str) -> None:
    """Raises ``Invalid`` at the pointer where the text holds U+0000."""
    if _NUL in text:
        raise Invalid.at(pointer, "A text here can not hold the character U+0000; leave it out.")


def without_nul(text: str) -> str:
    return text.replace(_NUL, "")
