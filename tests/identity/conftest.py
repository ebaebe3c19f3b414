"""The whole platform of each profile, and persons who log in to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import httpx2
import pytest_asyncio

from tests.http.conftest import Api, Running
from tests.http.conftest import api as api
from tests.http.conftest import operator as operator
from tests.http.conftest import other as other
from tests.http.conftest import running as running

_NUMBER = count(1)
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """Somebody who has logged in."""

    client: httpx2.AsyncClient
    email: str
    tokens: Mapping[str, Any]
    password: str = PASSWORD

    async def __call__(self, method: str, path: str, **more: Any) -> httpx2.Response:
        bearer = {"authorization": f"Bearer {self.tokens['access_token']}"}
        headers = bearer | more.pop("headers", {})
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **more)

    async def get(self, path: str, **more: Any) -> Any:
        answer = await self("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: object, status: int = 201) -> Any:
        answer = await self("POST", path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def again(self, **more: Any) -> "Person":
        """The same person by one more login."""
        return replace(self, tokens=await log_in(self.client, self.email, self.password, **more))


async def log_in(
    client: httpx2.AsyncClient, email: str, password: str, **more: Any
) -> Mapping[str, Any]:
    body = {"email": email, "password": password, **more}
    answer = await client.post("/api/v1/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def register(client: httpx2.AsyncClient, **more: Any) -> Person:
    """A new person: an owner of a new organization unless there is an invitation."""
    number = next(_NUMBER)
    email = f"person{number}@example.org"
    body = {"email": email, "password": PASSWORD, **more}
    if "invitation" not in more:
        body.setdefault("organization", f"works {number}")
    answer = await client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return Person(client, body["email"], await log_in(client, body["email"], PASSWORD))


@pytest_asyncio.fixture(loop_scope="session")
async def owner(running: Running) -> Person:
    return await register(running.anyone)


__all__ = ["Api", "Person", "Running", "log_in", "register"]
