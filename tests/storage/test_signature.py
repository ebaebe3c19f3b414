"""Signatures, held to Amazon's published example and to their own library."""

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.signature import encoded, signed_headers, signed_url

NOW = datetime(2013, 5, 24, tzinfo=UTC)
EXAMPLE = S3Access("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
KEYS = st.from_regex(r"[a-z0-9]{1,8}(/[a-zA-Z0-9_][A-Za-z0-9_.-]{0,8}){1,4}", fullmatch=True)
QUERIES = st.dictionaries(
    st.from_regex(r"[a-z-]{1,12}", fullmatch=True), st.text(max_size=20), max_size=4
)
SECRETS = st.text("abcXYZ019/+=", min_size=1, max_size=40)


def test_the_example_of_the_documentation_comes_out() -> None:
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    signed = signed_url(EXAMPLE, "GET", url, {}, {}, 86400, NOW)
    assert signed.endswith(
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@given(key=KEYS, query=QUERIES, secret=SECRETS, seconds=st.integers(1, 604_800))
def test_addresses_are_signed_as_by_amazons_library(
    key: str, query: dict[str, str], secret: str, seconds: int
) -> None:
    url = f"http://127.0.0.1:9000/{key}"
    theirs = AWSRequest("GET", f"{url}?{encoded(query)}" if query else url)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        auth = S3SigV4QueryAuth(Credentials("me", secret), "s3", "eu-1", expires=seconds)
        auth.add_auth(theirs)
    ours = signed_url(S3Access("me", secret, "eu-1"), "GET", url, query, {}, seconds, NOW)
    assert signature_of(ours) == signature_of(theirs.url)


@given(key=KEYS, query=QUERIES, body=st.binary(max_size=20))
def test_requests_are_signed_as_by_amazons_library(
    key: str, query: dict[str, str], body: bytes
) -> None:
    url = f"http://127.0.0.1:9000/{key}"
    headers = {"x-amz-meta-usina-write": "x  y "}
    full = f"{url}?{encoded(query)}" if query else url
    theirs = AWSRequest("PUT", full, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        S3SigV4Auth(Credentials("me", "secret"), "s3", "us-east-1").add_auth(theirs)
    ours = signed_headers(S3Access("me", "secret"), "PUT", url, query, headers, body, NOW)
    assert ours["authorization"] == theirs.headers["Authorization"]


def signature_of(url: str) -> str:
    return url.rpartition("X-Amz-Signature=")[2]


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_no_address_is_good_for_ever_or_never(seconds: int) -> None:
    with pytest.raises(ValueError, match="lasts"):
        signed_url(EXAMPLE, "GET", "https://s3/x/y", {}, {}, seconds, NOW)


def test_a_secret_is_not_shown() -> None:
    assert EXAMPLE.secret_key not in repr(EXAMPLE)
