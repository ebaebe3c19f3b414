"""A report is a program's word: whatever it says, the server has figures of it or none."""

import pytest

from usina.apps.cfd.told import fields_of, number


def test_what_is_wanted_is_read() -> None:
    assert fields_of(b'{"porosity": 0.4, "more": 1}', frozenset({"porosity"})) == {"porosity": 0.4}


@pytest.mark.parametrize(
    "report",
    [b"", b"5", b"null", b'["porosity"]', b'"porosity"', b"\xff{}", b"[" * 100_000]
    + [b'{"porosity": ' + value + b"}" for value in (b"NaN", b"-Infinity", b"1e999", b"0.4,")],
)
def test_what_is_no_object_of_strict_json_tells_nothing(report: bytes) -> None:
    assert fields_of(report, frozenset({"porosity"})) == {}


@pytest.mark.parametrize("value", [None, True, "0.4", [0.4], {}])
def test_what_is_no_number_is_no_figure(value: object) -> None:
    assert number(value) is None
