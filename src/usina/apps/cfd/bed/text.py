"""Texts of a bed that people write: shown, and put into files that other programs read.

Case files and `.bed` texts have quotes, directives (`#include`, `#codeStream`) and variables
(`$name`). A text that could be taken for one of them is refused where it comes in.
"""

import re
import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_DIRECTIVE: Final = re.compile(r'["\\$;{}]|#[^\W\d_]')
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _plain(text: str) -> str:
    if any(unicodedata.category(character) in _HIDDEN for character in text):
        raise PydanticCustomError("hidden", "This can not hold controls or line breaks.")
    if _DIRECTIVE.search(text):
        message = 'This can not hold any of " \\ $ ; { } nor a # before a letter.'
        raise PydanticCustomError("directive", message)
    if not text.strip():
        raise PydanticCustomError("blank", "This can not be blank.")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Word = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]
