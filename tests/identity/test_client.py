"""The client and the command line, against a platform: log in, keys, the organization, the log."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.identity.conftest import PASSWORD, Running
from usina_client import AsyncClient, AuthenticationError, PermissionDeniedError, Quotas

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


async def test_the_command_line_says_who_makes_keys_and_shows_the_log(running: Running) -> None:
    made = await running.platform.tenancy.create_organization("of the command line")
    url = str(running.anyone.base_url)
    environment = os.environ | {"USINA_URL": url, "USINA_API_KEY": made.api_key}

    async def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "usina.faces.cli.main", *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env=environment
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def usina(*arguments: str) -> Any:
        code, out = await run("--json", *arguments)
        assert code == 0
        return json.loads(out)

    assert (await usina("whoami"))["organization"]["name"] == "of the command line"
    key = await usina("keys", "create", "nightly", "--scope", "jobs:write", "--days", "2")
    assert {one["name"] for one in await usina("keys", "list")} == {"nightly", "first key"}
    async with AsyncClient(url, key["secret"]) as program:
        assert "jobs:write" in (await program.auth.me()).permissions
    assert await usina("keys", "revoke", key["id"]) == {"id": key["id"]}
    told = await usina("audit", "--subject", key["id"])
    assert [entry["action"] for entry in told] == ["api_key.revoked", "api_key.created"]
    assert "api_key.revoked" in (await run("audit"))[1]
    assert "jobs:write" in (await run("whoami"))[1]
    assert "first key" in (await run("keys", "list"))[1]
    assert (await run("keys", "revoke", "x"))[0] == 5
