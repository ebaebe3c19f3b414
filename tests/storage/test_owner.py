"""Whose a store is: no platform starts on another one's, and so none sweeps another one's away."""

import asyncio
from pathlib import Path

import pytest

from usina.app import embedded
from usina.ground import CanNotStart
from usina.kernel.errors import NotFound
from usina.kernel.storage.marker import MARKER
from usina.settings import Settings
from usina.storage import open_chosen_store
from usina.upkeep import adopt_store


async def start(settings: Settings) -> str:
    """The id of the platform that started there."""
    async with embedded(settings):
        store = open_chosen_store(settings)
        return b"".join(store.chunks(MARKER, 0, store.size(MARKER) or 0)).decode().strip()


async def refusal(settings: Settings) -> str:
    with pytest.raises(CanNotStart) as refused:
        await start(settings)
    return str(refused.value)


def at(folder: Path, store: Path) -> Settings:
    return Settings(data=folder, storage_url=store.as_uri(), _env_file=None)


async def test_a_platform_starts_again_on_its_own_store(tmp_path: Path) -> None:
    settings = at(tmp_path / "one", tmp_path / "store")
    assert await start(settings) == await start(settings)


async def test_another_platforms_store_is_refused_and_nothing_of_it_is_touched(
    tmp_path: Path,
) -> None:
    first, second = (at(tmp_path / name, tmp_path / "store") for name in ("one", "two"))
    owner = await start(first)
    store = open_chosen_store(first)
    store.put("files/theirs", b"precious")
    said = await refusal(second)
    assert owner in said
    assert first.storage_url is not None
    assert first.storage_url in said
    assert "usina admin adopt-store" in said
    assert store.size("files/theirs") == 8
    assert await start(first) == owner


async def test_a_store_that_holds_things_of_nobodys_is_refused(tmp_path: Path) -> None:
    settings = at(tmp_path / "one", tmp_path / "store")
    open_chosen_store(settings).put("letters/mine", b"not of a platform")
    assert MARKER in await refusal(settings)


def test_a_store_is_adopted_on_purpose(tmp_path: Path) -> None:
    """As after a database was lost, and the marker with it or not."""
    first, second = (at(tmp_path / name, tmp_path / "store") for name in ("one", "two"))
    with pytest.raises(NotFound):
        adopt_store(second)
    owner = asyncio.run(start(first))
    asyncio.run(refusal(second))
    adopted = adopt_store(second)
    assert adopted.before == owner
    assert asyncio.run(start(second)) == adopted.platform_id
    assert adopted.platform_id in asyncio.run(refusal(first))
    open_chosen_store(second).delete([MARKER])
    assert adopt_store(second).before is None
