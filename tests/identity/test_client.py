"""The client and the command line, against a platform: log in, keys, the organization, the log."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.identity.conftest import PASSWORD, Running
from usina.faces.cli.main import main
from usina_client import AsyncClient, AuthenticationError, Client, PermissionDeniedError, Quotas

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:")
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_person_logs_in_and_makes_a_key(running: Running) -> None:
    url = str(running.anyone.base_url)
    email = "client@example.org"
    async with AsyncClient(url, "") as anyone:
        who = await anyone.auth.register(email, PASSWORD, organization="of the client")
        assert (who.email, who.role, who.operator) == (email, "owner", False)
        tokens = await anyone.auth.login(email, PASSWORD)
        with pytest.raises(AuthenticationError):
            await anyone.auth.login(email, "another password")
        tokens = await anyone.auth.refresh(tokens.refresh_token)
    async with AsyncClient(url, token=tokens.access_token) as ours:
        assert (await ours.auth.me()).organization.name == "of the client"
        soon = datetime.now(UTC) + timedelta(days=1)
        key = await ours.api_keys.create("submits", scopes=["jobs:write"], expires_at=soon)
        assert key.secret is not None
        assert key.expires_at == soon
        assert [one.name async for one in ours.api_keys.list()] == ["submits"]
        changed = await ours.organizations.update(quotas=Quotas(queued_jobs=5))
        assert changed.quotas.queued_jobs == 5
        assert (await ours.organizations.current()).usage.queued_jobs == 0
        told = [entry.action async for entry in ours.audit.list(after=who_began())]
        assert told[:2] == ["organization.changed", "api_key.created"]
        async with AsyncClient(url, key.secret) as program:
            with pytest.raises(PermissionDeniedError):
                await program.schedules.get("x")
        await ours.api_keys.revoke(key.id)
        async with AsyncClient(url, key.secret) as program:
            with pytest.raises(AuthenticationError):
                await program.auth.me()
        await ours.auth.change_password(PASSWORD, "a better password")
        await ours.auth.logout()
        with pytest.raises(AuthenticationError):
            await ours.auth.me()


def who_began() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)


async def test_the_command_line_says_who_makes_keys_and_shows_the_log(
    running: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = await running.platform.tenancy.create_organization("of the command line")
    monkeypatch.setenv("USINA_URL", str(running.anyone.base_url))
    monkeypatch.setenv("USINA_API_KEY", made.api_key)

    async def usina(*arguments: str) -> Any:
        capfd.readouterr()
        assert await asyncio.to_thread(main, ["--json", *arguments]) == 0
        lines = capfd.readouterr().out.splitlines()  # among which the platform's log is
        return json.loads("\n".join(line for line in lines if not _LOG_LINE.match(line)))

    assert (await usina("whoami"))["organization"]["name"] == "of the command line"
    key = await usina("keys", "create", "nightly", "--scope", "jobs:write", "--days", "2")
    assert {one["name"] for one in await usina("keys", "list")} == {"nightly", "first key"}
    await asyncio.to_thread(Client(str(running.anyone.base_url), key["secret"]).auth.me)
    assert await usina("keys", "revoke", key["id"]) == {"id": key["id"]}
    told = await usina("audit", "--subject", key["id"])
    assert [entry["action"] for entry in told] == ["api_key.revoked", "api_key.created"]
    assert await usina("audit", "--limit", "1") == told[:1]
    assert await asyncio.to_thread(main, ["audit"]) == 0
    assert "api_key.revoked" in capfd.readouterr().out
    assert await asyncio.to_thread(main, ["whoami"]) == 0
    assert "jobs:write" in capfd.readouterr().out
    assert await asyncio.to_thread(main, ["keys", "list"]) == 0
    assert "first key" in capfd.readouterr().out
    assert await asyncio.to_thread(main, ["keys", "revoke", "x"]) == 5
