"""A full disk, told apart from every other failure."""

import errno
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import BaseError

from usina.kernel.errors import StorageFull

_NUMBERS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OBSTORE: Final = re.compile(r"\(os error (\d+)\)")
"""obstore tells the system's number only in its text."""


@contextmanager
def refusing_when_full() -> Generator[None]:
    """Turns a full disk, a used-up quota or file-size limit into ``StorageFull``."""
    try:
        yield
    except OSError as error:
        if error.errno in _NUMBERS:
            raise StorageFull from error
        raise
    except BaseError as error:
        told = _OBSTORE.search(str(error))
        if told is not None and int(told[1]) in _NUMBERS:
            raise StorageFull from error
        raise
