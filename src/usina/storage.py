"""The store that the settings choose: a folder of the data, or a bucket."""

from usina.kernel.storage.open import open_store
from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.store import Store
from usina.settings import Settings


def open_chosen_store(settings: Settings) -> Store:
    """Raises ``Unavailable`` where a server does not answer or does not let us in."""
    return open_store(store_url(settings), s3_access(settings))


def store_url(settings: Settings) -> str:
    """``file:///folder`` or ``s3://bucket/prefix``."""
    return settings.storage_url or (settings.data / "store").as_uri()


def s3_access(settings: Settings) -> S3Access | None:
    """Who we are to the server of a bucket; null where no keys are set."""
    key, secret = settings.s3_access_key, settings.s3_secret_key
    if key is None or secret is None:
        return None
    scheme = "https" if settings.minio_secure else "http"
    return S3Access(
        key.get_secret_value(),
        secret.get_secret_value(),
        settings.s3_region,
        _with_scheme(settings.s3_endpoint_url, scheme),
        _with_scheme(settings.s3_public_endpoint_url, scheme),
    )


def _with_scheme(endpoint: str | None, scheme: str) -> str | None:
    return endpoint if endpoint is None or "://" in endpoint else f"{scheme}://{endpoint}"
