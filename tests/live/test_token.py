"""Tokens that came in an address, or in a message, are in no line of a log."""

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.live.socket import socket
from tests.torture.platform import running as running_process


def test_no_line_of_the_log_shows_a_token(tmp_path: Path) -> None:
    secret = "usina_canary_" + "c" * 40

    async def call(address: str, key: str) -> None:
        for token in (key, secret):
            async with socket(address, token=token) as client:
                await client.hear()
        async with socket(address) as client:
            await client.say("auth", token=secret)
            await client.closed()
        async with socket(address, token=secret, nosuch="1") as client:
            await client.closed()
        for path in (f"/api/v1/no-such?token={secret}", f"/api/v1/jobs?token={secret}"):
            with pytest.raises(InvalidStatus):
                await connect(f"{address.replace('http', 'ws', 1)}{path}")

    environment = {"USINA_LOG_LEVEL": "debug"}
    with running_process(tmp_path / "data", **environment) as platform:
        asyncio.run(call(platform.url, platform.api_key))
        key = platform.api_key
        assert platform.stop() == 0
    log = (tmp_path / "platform.log").read_text()
    assert "/api/v1/ws" in log
    assert secret not in log
    assert key not in log
