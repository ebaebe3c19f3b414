"""A full disk, told apart from every other failure."""

import errno
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import BaseError

from usina.kernel.errors import StorageFull

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TOLD: Final = re.compile(r"\(os error (\d+)\)")
"""obstore tells the system's number in its text only, even in an ``OSError``."""


@contextmanager
def refusing_when_full() -> Generator[None]:
    """Turns a full disk, a used-up quota or file-size limit into ``StorageFull``."""
    try:
        yield
    except (OSError, BaseError) as error:
        if is_full(error):
            raise StorageFull from error
        raise


def is_full(error: Exception) -> bool:
    return _number(error) in _FULL


def _number(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = _TOLD.search(str(error))
    return int(told[1]) if told is not None else None
