"""Which platform the commands talk to: the one named, the data folder's, or one started now."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina_client import AsyncClient, Client, UsinaError

_LOOK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a platform listens, and the key it knows us by."""

    url: str
    api_key: str

    def client(self) -> Client:
        return Client(self.url, self.api_key)

    def async_client(self) -> AsyncClient:
        return AsyncClient(self.url, self.api_key)


def find() -> Address:
    """USINA_URL with USINA_API_KEY, else the data folder's platform, started if need be."""
    url, key = _variable("USINA_URL"), _variable("USINA_API_KEY")
    if url:
        return Address(url, key or "")
    from usina.faces.cli.background import started
    from usina.faces.cli.setting import settings_with

    settings = settings_with()
    found = running(settings.data) or started(settings)
    return Address(found.url, key) if key else found


def running(folder: Path) -> Address | None:
    """The data folder's platform, if it is up and knows the key of the folder."""
    address = read_credentials(folder)
    if address is None:
        return None
    try:
        with Client(address.url, address.api_key, timeout=_LOOK_SECONDS) as client:
            client.health()
            client.models.list(limit=1).page()
    except (UsinaError, ValueError):
        return None
    return address


def read_credentials(folder: Path) -> Address | None:
    """What the last start wrote; null when there is nothing of use."""
    try:
        written: dict[str, object] = json.loads((folder / "credentials.json").read_bytes())
        url, key = written["url"], written["api_key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Address(url, key) if isinstance(url, str) and isinstance(key, str) else None


def _variable(name: str) -> str | None:
    """From the environment, or from the `.env` file that the server reads too."""
    if name in os.environ:
        return os.environ[name]
    if not Path(".env").is_file():
        return None
    from dotenv import dotenv_values

    return dotenv_values(".env").get(name)
