"""An object copied by the server: its bytes do not pass through here."""

from contextlib import suppress
from typing import Final

from usina.kernel.errors import Unavailable
from usina.kernel.ids import new_id
from usina.kernel.storage.s3_calls import S3Calls

STEP_BYTES: Final = 256 * 1024**2
"""What a server copies in the time that it has for an answer, and far below what it must."""


def copy_within(calls: S3Calls, source: str, target: str, size_bytes: int) -> None:
    """Copies an object of that size; a large one in parts, seen when all are there. Blocks."""
    if size_bytes <= STEP_BYTES:
        calls.copy(source, target)
        return
    write = new_id()
    upload_id = calls.begin(target, write)
    try:
        tags = [
            calls.part_copied(source, target, upload_id, number, (start, stop))
            for number, (start, stop) in enumerate(_spans(size_bytes), 1)
        ]
        calls.complete(target, upload_id, tags, write)
    except BaseException:
        with suppress(Unavailable):  # the sweep aborts it then
            calls.abort(target, upload_id)
        raise


def _spans(size_bytes: int) -> list[tuple[int, int]]:
    starts = range(0, size_bytes, STEP_BYTES)
    return [(start, min(start + STEP_BYTES, size_bytes)) for start in starts]
