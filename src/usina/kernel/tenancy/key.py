"""API keys: a prefix that can be shown, a 256-bit secret that is stored as its SHA-256 only.

A fast hash is right for a secret of full entropy; the key is one word, so a double click takes it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

_MARK: Final = "usina_"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the one moment when its text is known."""

    text: str
    prefix: str
    sha256: str


def generate_key() -> NewKey:
    return describe_key(_MARK + secrets.token_hex(32))


def describe_key(text: str) -> NewKey:
    """A key whose text is given, such as the first superuser's; of a short one less is shown."""
    shown = min(len(_MARK) + 8, len(text) // 4)
    return NewKey(text, text[:shown], key_sha256(text))


def key_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
