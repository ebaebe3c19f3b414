"""Cursors of the log: an epoch and a position, opaque to callers."""

import base64
import binascii

from usina.kernel.errors import Gone


def encode(epoch: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{epoch}:{position}".encode()).decode().rstrip("=")


def decode(text: str, epoch: str) -> int:
    """The position; raises ``Gone`` for what is no cursor or of another epoch."""
    try:
        padded = text + "=" * (-len(text) % 4)
        found, _, position = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
        if found == epoch and position.isdecimal() and len(position) <= 18:
            return int(position)
    except (binascii.Error, ValueError):
        pass
    raise Gone("This cursor is not of this log; start again without one.")
