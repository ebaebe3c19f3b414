"""What an S3 server's refusals and silences mean, in the words of the port."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import structlog
from obstore.exceptions import BaseError

from usina.kernel.errors import StorageFull, Unavailable
from usina.kernel.storage.store import ObjectMissing

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RETRY_AFTER_SECONDS: Final = 10
_TOLD: Final = 500
"""How much of an answer is logged."""

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status(?: code)?: (\d{3})\b")
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "507"})
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_REFUSED: Final = {
    "NoSuchBucket": "its bucket does not exist",
    "InvalidAccessKeyId": "the access key is not known to it",
    "SignatureDoesNotMatch": "the secret key is not the right one",
    "RequestTimeTooSkewed": "the clocks of the two machines differ by minutes",
    "AuthorizationHeaderMalformed": "the region is another",
    "PermanentRedirect": "the bucket is in another region",
    "401": "it wants other credentials",
    "403": "this key may not do that in this bucket",
}
"""What an operator has to put right, by the server's code or the status of its answer."""


class UploadGone(Unavailable):
    """A multipart upload that was completed, or aborted, meanwhile."""

    code = "storage_unavailable"

    def __init__(self) -> None:
        super().__init__("The store gave up an object on its way; send the request again.")


@contextmanager
def told_plainly(key: str) -> Generator[None]:
    """Turns obstore's errors about an object into the port's."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise failure(key, str(error)) from error


def failure(key: str, told: str) -> Exception:
    """The port's error for an answer, or for why there was none.

    ``ObjectMissing``, ``StorageFull``, ``UploadGone``, or ``Unavailable``: ``storage_refused``
    where somebody must change something, ``storage_unavailable`` where waiting may help.
    """
    words = [found[1] for found in (_CODE.search(told), _STATUS.search(told)) if found]
    if _FULL.intersection(words):
        return StorageFull()
    if refused := next((_REFUSED[word] for word in words if word in _REFUSED), None):
        _log.error("the object store refuses this platform", key=key, told=told[:_TOLD])
        return Unavailable(
            f"The object store refuses this platform: {refused}. Its operator has to set"
            " USINA_STORAGE_URL and the S3_* settings right.",
            code="storage_refused",
            retry_after_seconds=60,
        )
    if "NoSuchUpload" in words:
        return UploadGone()
    if _MISSING.intersection(words):
        return ObjectMissing(key)
    _log.warning("the object store does not answer", key=key, told=told[:_TOLD])
    return Unavailable(
        "The object store does not answer; send the request again in a moment.",
        code="storage_unavailable",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )
