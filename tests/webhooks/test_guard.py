"""What callers may make the platform connect to, however it is written or resolved."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usina.kernel.errors import Invalid
from usina.kernel.guard.reach import Reach
from usina.kernel.guard.target import check_url, parse_target

NOWHERE = Reach()
INSIDE = Reach((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))

CLOSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
    *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8"),
    *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "100::1", "2001::1"),
    *("2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1", "4000::1"),
]
OPEN = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", CLOSED)
def test_addresses_that_are_not_public_are_closed(address: str) -> None:
    assert not NOWHERE.allows(ip_address(address), 443)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid) as refused:
        check_url(f"https://{host}/x", NOWHERE, "/callback_url")
    assert refused.value.code == "address_not_allowed"
    assert refused.value.errors[0].pointer == "/callback_url"


@pytest.mark.parametrize("address", [*OPEN, "64:ff9b::808:808"])
def test_public_addresses_are_open_at_the_ports_of_the_web(address: str) -> None:
    found = ip_address(address)
    assert NOWHERE.allows(found, 443)
    assert NOWHERE.allows(found, 80)
    assert not any(NOWHERE.allows(found, port) for port in (22, 25, 6379, 8080))


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("64:ff9b::a01:203", True),
        ("fd12::1", True),
        ("11.1.2.3", False),
        ("127.0.0.1", False),
        ("fe80::1", False),
    ],
)
def test_a_network_that_is_allowed_is_open_at_any_port(address: str, allowed: bool) -> None:
    assert INSIDE.allows(ip_address(address), 8080) is allowed


@given(st.ip_addresses(v=4))
def test_what_stands_for_an_address_is_as_open_as_that(address: object) -> None:
    plain = NOWHERE.allows(ip_address(str(address)), 443)
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert NOWHERE.allows(ip_address(form), 443) is plain


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.org", "//hooks.example.org", "ftp://hooks.example.org"),
        *("file:///etc/passwd", "gopher://x", "https://", "https:///x", "https://:443/"),
        *("https://user@a.example", "https://user:pass@a.example", "https://a@127.0.0.1/"),
        *("https://a.example#x", "https://a.example/#@b", "https://a.example\\@b.example/"),
        *(
            "https://a.example/a b",
            "https://a.example/\r\nX: y",
            "https://a.example\n",
            "https://a\t",
        ),
        *(
            "https://\u00e9.example",
            "https://a\u2014b.example",
            "https://a.example/\u00e9",
            "https://a。b",
        ),
        *(
            "https://127.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://0",
            "https://0177.0.0.1",
        ),
        *("https://127.0.0.01", "https://0x7f000001", "https://1.2.3.4.5", "https://1.2.3"),
        *("https://[fe80::1%25eth0]", "https://[::1", "https://[zz]", "https://[1.2.3.4]"),
        *("https://a.example:0", "https://a.example:65536", "https://a.example:x", "https://a:"),
        *("https://-a.example", "https://a..b", "https://.a", "https://a.example:443:80"),
        *("https://" + "a" * 64 + ".example", "https://a.example/" + "x" * 2048),
    ],
)
def test_what_is_no_plain_address_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url, NOWHERE, "/url")
    assert refused.value.code == "validation_failed"
    assert refused.value.detail.startswith("url ")


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://Hooks.Example.org", "hooks.example.org", 443, "/"),
        ("http://a.example?x=1", "a.example", 80, "/?x=1"),
        ("HTTPS://a.example./x?y#".rstrip("#"), "a.example", 443, "/x?y"),
        ("https://xn--e1afmkfd.example:443/%C3%A9", "xn--e1afmkfd.example", 443, "/%C3%A9"),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", 443, "/"),
        ("https://a_b.example/a//b/../c", "a_b.example", 443, "/a//b/../c"),
    ],
)
def test_an_address_is_read_in_one_way(url: str, host: str, port: int, path: str) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    ["https://localhost/x", "http://a.localhost", "https://a.example:6379", "http://a.example:22"],
)
def test_what_is_plainly_inside_is_refused_before_it_is_resolved(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url, NOWHERE, "/url")
    assert refused.value.code == "address_not_allowed"
    check_url(url, INSIDE, "/url")


@given(st.text(max_size=60))
def test_no_text_gets_by_as_something_else(text: str) -> None:
    """Whatever is let through is ASCII and says the host that it is sent to."""
    for url in (text, f"https://{text}", f"https://{text}.example/", f"https://a.example/{text}"):
        try:
            target = parse_target(url)
        except ValueError:
            continue
        assert url.isascii()
        assert target.host in url.lower() or target.address is not None
        assert "@" not in target.host
        assert not set(target.path) & set(" \r\n\t\0")


def allowed(addresses: Sequence[str]) -> bool:
    return all(NOWHERE.allows(ip_address(address), 443) for address in addresses)


def test_one_closed_address_among_open_ones_closes_a_name() -> None:
    assert allowed(OPEN)
    assert not allowed([*OPEN, "10.0.0.1"])
