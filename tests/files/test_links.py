"""Signed links: short, bound to path, method and time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usina.http_kit.links import is_signed, sign, verify
from usina.kernel.errors import Unauthorized

SECRET = b"s" * 32
PATH = "/api/v1/artifacts/01981c3e-1b2c-7a55-8e11-5d6c7b8a9f00/content"


def query(link: str) -> bytes:
    return link.partition("?")[2].encode()


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("seconds", [1, 60, 3600, 86_400])
def test_a_link_is_good_for_its_method_and_time(method: str, seconds: int) -> None:
    link = sign(SECRET, PATH, seconds, method=method)
    path, _, signed = link.partition("?")
    assert path == PATH
    assert len(signed) < 60
    assert is_signed(signed.encode())
    verify(SECRET, PATH, signed.encode(), method=method)
    expires = int(signed.partition("expires=")[2].partition("&")[0])
    assert seconds <= expires - time.time() + 1 <= seconds * 13 / 12 + 2


def test_an_hours_link_stays_the_same_for_a_while() -> None:
    now = time.time()
    links = {sign(SECRET, PATH, 3600) for _ in range(100)}
    assert len(links) <= 1 + (time.time() - now) // 300 + 1


def test_another_method_path_secret_or_time_is_refused() -> None:
    link = query(sign(SECRET, PATH, 60))
    refused = [
        (SECRET, PATH, link, "PUT"),
        (SECRET, PATH + "/", link, "GET"),
        (SECRET, "/api/v1/artifacts", link, "GET"),
        (b"t" * 32, PATH, link, "GET"),
        (SECRET, PATH, link.replace(b"=1", b"=2", 1), "GET"),
        (SECRET, PATH, query(sign(SECRET, PATH, -2)), "GET"),
        (SECRET, PATH, b"", "GET"),
    ]
    for secret, path, signed, method in refused:
        with pytest.raises(Unauthorized):
            verify(secret, path, signed, method=method)


@given(st.binary(max_size=80))
def test_no_query_breaks_the_check(junk: bytes) -> None:
    for given_query in (junk, b"expires=" + junk + b"&signature=" + junk):
        with pytest.raises(Unauthorized):
            verify(SECRET, PATH, given_query)
