"""Values for a program whose options are OmegaConf's ``key.path=value``, where a value is YAML.

A caller's words must stay words. Every text becomes a double-quoted YAML scalar of plain ASCII, so
no quote, bracket, colon, comma, ``=`` or line break in it means anything. Two things OmegaConf
reads out of any text, quoted or not, again and again: ``${``, which begins an interpolation, and a
text of ``???``, which is its word for missing. Those are refused.
"""

import unicodedata
from typing import Final

from usina_runner import InvalidInput

_NO_TEXT: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_INTERPOLATION: Final = "${"
_MISSING: Final = "???"
_LIBRARY: Final = "lib:"


def override(key: str, value: float | str | bool) -> str:
    """One word of a command line."""
    if isinstance(value, str):
        return f"{key}={_quoted(value)}"
    return f"{key}={str(value).lower() if isinstance(value, bool) else repr(value)}"


def said(prompt: str) -> str:
    """The prompt in one line, as it is handed on; raises `InvalidInput`."""
    words = " ".join(prompt.split())
    strange = sorted({letter for letter in words if unicodedata.category(letter) in _NO_TEXT})
    if strange:
        codes = ", ".join(f"U+{ord(letter):04X}" for letter in strange[:8])
        raise _refused(f"The prompt holds characters that are not text: {codes}.")
    if not words:
        raise _refused("The prompt is empty: say what is to be made.")
    if _INTERPOLATION in words or words == _MISSING:
        raise _refused("The prompt holds '${' or is '???', which this model takes for its own.")
    if words.startswith(_LIBRARY):
        raise _refused("A prompt that begins with 'lib:' would be looked up, not followed.")
    return words


def _refused(message: str) -> InvalidInput:
    return InvalidInput("prompt_characters", message)


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if letter in '"\\':
        return "\\" + letter
    if 0x20 <= code < 0x7F:
        return letter
    return f"\\U{code:08x}"
