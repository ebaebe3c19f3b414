"""Which store an address means."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.s3_address import S3Access, S3Place
from usina.kernel.storage.store import Store


def open_store(url: str, access: S3Access | None) -> Store:
    """The store at ``file:///folder`` or ``s3://bucket/prefix``; the latter needs an access.

    Raises ``ValueError`` for another address, ``Unavailable`` where a server does not answer.
    """
    if url.startswith("file:///"):
        return FolderStore(Path(unquote(urlsplit(url).path)))
    place = S3Place.of(url)
    if access is None:
        raise ValueError("a bucket needs S3_ACCESS_KEY and S3_SECRET_KEY")
    from usina.kernel.storage.s3 import S3Store  # its HTTP client is of no use to a folder

    return S3Store(place, access)
