"""One request to a receiver that means ill: how long, how much and whom it may reach."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import trustme

from tests.webhooks.receiver import (
    Behaviour,
    Receiver,
    answers,
    drips,
    floods,
    hangs,
    receiver,
    resets,
    speaks,
)
from usina.kernel.guard.reach import Reach
from usina.kernel.webhooks.post import Poster, Reply

LOOPBACK = (ip_network("127.0.0.0/8"),)
NAME = "hooks.example.org"


class Names:
    """A resolver that answers each question with the next of its lists, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def poster(
    names: Any = None, *, seconds: float = 5, trusted: ssl.SSLContext | None = None, **reach: Any
) -> Poster:
    allowed = Reach(reach.get("allowed", LOOPBACK))
    return Poster(allowed, names or Names(["127.0.0.1"]), seconds, trusted)


async def sent(there: Receiver, post: Poster) -> Reply:
    return await post.post(there.url, {"webhook-id": "1"}, b"{}")


@pytest.mark.parametrize(
    ("behaviour", "status", "error"),
    [
        (answers(200, b"thanks"), 200, None),
        (answers(204), 204, None),
        (answers(299), 299, None),
        (answers(404, b"who?"), 404, "status"),
        (answers(500), 500, "status"),
        (answers(301, headers=["Location: http://169.254.169.254/latest"]), 301, "redirect"),
        (answers(307, headers=["Location: /elsewhere"]), 307, "redirect"),
        (resets(), None, "connection"),
        (speaks(b""), None, "protocol"),
        (speaks(b"SSH-2.0-OpenSSH_9.9\r\n"), None, "protocol"),
        (speaks(b"HTTP/1.1 200 So\r\ncontent-length: 10\r\n\r\nhalf"), None, "protocol"),
        (speaks(b"HTTP/1.1 200 So\r\nX: " + b"x" * 200_000), None, "protocol"),
    ],
)
async def test_what_a_receiver_does_is_one_of_few_things(
    behaviour: Behaviour, status: int | None, error: str | None
) -> None:
    async with receiver(behaviour) as there:
        reply = await sent(there, poster())
        assert (reply.status_code, reply.error) == (status, error), reply
        assert (reply.message is None) is (error is None)
        assert len(there.requests) == 1, "no redirect is followed and nothing sent twice"
        assert there.requests[0].headers["host"] == f"127.0.0.1:{there.port}"


async def test_nobody_there_is_a_failure() -> None:
    async with receiver() as there:
        pass
    assert (await sent(there, poster())).error == "connection"


@pytest.mark.parametrize("behaviour", [hangs(), drips(0.02), answers(200, after=30)])
async def test_it_is_over_in_time_whatever_the_receiver_does(behaviour: Behaviour) -> None:
    async with receiver(behaviour) as there:
        reply = await sent(there, poster(seconds=0.3))
    assert (reply.error, reply.status_code) == ("timeout", None)
    assert 0.3 <= reply.duration_seconds < 3


async def test_an_answer_just_in_time_counts() -> None:
    async with receiver(answers(200, after=0.56)) as there:
        assert (await sent(there, poster(seconds=3))).error is None


async def test_a_flood_is_read_no_further_than_its_beginning() -> None:
    taken = asyncio.Event()

    async def flood(conversation: Any) -> None:
        try:
            await floods(10 * 1024**2)(conversation)
        finally:
            taken.set()

    async with receiver(flood) as there:
        reply = await sent(there, poster())
        assert (reply.status_code, reply.error) == (200, None)
        assert reply.answer == "x" * 1000
        await asyncio.wait_for(taken.wait(), 5)


async def test_a_packed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with receiver(answers(200, bomb, ["Content-Encoding: gzip"])) as there:
        reply = await sent(there, poster())
        assert there.requests[0].headers["accept-encoding"] == "identity"
    assert reply.error is None
    assert reply.answer is not None
    assert reply.answer.endswith("packed as gzip)")


async def test_bytes_that_are_no_text_are_shown_as_far_as_they_are() -> None:
    async with receiver(answers(500, b"a\xff\0b")) as there:
        assert (await sent(there, poster())).answer == "a\ufffdb"


@pytest.mark.parametrize(
    ("given", "wait"),
    [("7", 7), ("0", 0), ("999999999", 86_400), ("-1", None), ("soon", None), ("\u00b2", None)],
)
async def test_how_long_to_wait_is_read(given: str, wait: int | None) -> None:
    raw = f"HTTP/1.1 503 So\r\nRetry-After: {given}\r\ncontent-length: 0\r\n\r\n"
    async with receiver(speaks(raw.encode("latin-1", "replace"))) as there:
        reply = await sent(there, poster())
    assert reply.wait == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["fe80::1%eth0"],
        ["::ffff:10.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["1.1.1.1"],
    ],
)
async def test_a_name_with_one_closed_address_is_not_connected_to(addresses: list[str]) -> None:
    """Public ones are closed here too, since the port is none of the web's."""
    async with receiver() as there:
        url = f"http://{NAME}:{there.port}/hook"
        reply = await poster(Names(addresses)).post(url, {}, b"{}")
        assert (reply.error, there.requests) == ("address_not_allowed", [])
        assert not any(address in (reply.message or "") for address in addresses)


async def test_loopback_is_closed_unless_it_is_allowed() -> None:
    async with receiver() as there:
        reply = await sent(there, poster(allowed=()))
        assert (reply.error, there.requests) == ("address_not_allowed", [])


async def test_a_name_that_changes_is_resolved_once_and_connected_to_where_it_was_checked() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with receiver() as there:
        post = poster(names)
        url = f"http://{NAME}:{there.port}/hook"
        assert (await post.post(url, {}, b"{}")).error is None
        assert names.asked == [NAME]
        assert there.requests[0].headers["host"] == f"{NAME}:{there.port}"
        assert (await post.post(url, {}, b"{}")).error == "address_not_allowed"
        assert len(there.requests) == 1


@pytest.mark.parametrize("trouble", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_a_failure(trouble: Exception) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        raise trouble

    reply = await poster(resolve).post(f"http://{NAME}/", {}, b"{}")
    assert reply.error == "name_unknown"


async def test_a_resolver_that_hangs_is_a_timeout() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    assert (
        await poster(resolve, seconds=0.2).post(f"http://{NAME}/", {}, b"{}")
    ).error == "timeout"


async def test_the_next_address_is_tried_where_nobody_answers() -> None:
    async with receiver() as there:
        url = f"http://{NAME}:{there.port}/hook"
        reply = await poster(Names(["127.9.9.9", "127.0.0.1"])).post(url, {}, b"{}")
        assert reply.error is None


@asynccontextmanager
async def secure(*names: str) -> AsyncIterator[tuple[Receiver, ssl.SSLContext]]:
    """A receiver with a certificate for these names, and what trusts it."""
    authority = trustme.CA()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(served)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with receiver(tls=served) as there:
        yield there, trusted


async def test_the_certificate_and_the_server_are_asked_for_the_name() -> None:
    async with secure(NAME) as (there, trusted):
        post = poster(Names(["127.0.0.1"]), trusted=trusted)
        reply = await post.post(f"https://{NAME}:{there.port}/hook", {}, b"{}")
        assert reply.error is None, reply
        assert there.names == [NAME]
        assert there.requests[0].headers["host"] == f"{NAME}:{there.port}"


async def test_a_handshake_that_never_ends_leaves_no_connection_behind() -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reply = await poster(seconds=0.3).post(f"https://{NAME}:{port}/", {}, b"{}")
    assert reply.error == "timeout"
    await asyncio.wait_for(ended.wait(), 5)
    server.close()


async def test_another_names_certificate_is_refused() -> None:
    async with secure("other.example.org", "127.0.0.1") as (there, trusted):
        post = poster(Names(["127.0.0.1"]), trusted=trusted)
        reply = await post.post(f"https://{NAME}:{there.port}/hook", {}, b"{}")
        assert (reply.error, there.requests) == ("tls", [])


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with secure(NAME) as (there, _):
        reply = await poster().post(f"https://{NAME}:{there.port}/hook", {}, b"{}")
        assert (reply.error, there.requests) == ("tls", [])
        assert "self" in (reply.message or "") or "issuer" in (reply.message or "")
