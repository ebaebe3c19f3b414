"""Each test of the client runs twice: as it is written, and as it is derived."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from tests.client.fake import FakePlatform
from usina_client import AsyncClient, Client


@pytest.fixture(scope="session")
def server() -> Iterator[FakePlatform]:
    fake = FakePlatform()
    yield fake
    fake.stop()


@pytest.fixture
def platform(server: FakePlatform) -> FakePlatform:
    server.forget()
    return server


@pytest.fixture(params=[AsyncClient, Client])
def kind(request: pytest.FixtureRequest) -> type[AsyncClient] | type[Client]:
    return request.param


@pytest.fixture
async def client(kind: Any, platform: FakePlatform) -> AsyncIterator[Any]:
    made = kind(platform.url, "key-1")
    yield made
    await closed(made)


async def done(value: Any) -> Any:
    """The result of a call of either client."""
    return await value if inspect.isawaitable(value) else value


async def closed(client: AsyncClient | Client) -> None:
    await done(client.aclose() if isinstance(client, AsyncClient) else client.close())


async def collected(items: AsyncIterable[Any] | Iterable[Any]) -> list[Any]:
    if isinstance(items, AsyncIterable):
        return [item async for item in items]
    return list(items)
