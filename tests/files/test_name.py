"""Names are shown, never followed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usina.kernel.files.name import display_name


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("teapot.png", "teapot.png"),
        ("my photo (1).jpg", "my photo (1).jpg"),
        ("工場.png", "工場.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.jpg", "photo.jpg"),
        ("/absolute", "absolute"),
        ("folder/", "folder"),
        ("a\0b.png", "ab.png"),
        ("line\r\nbreak.png", "linebreak.png"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("\ufeffbom.txt", "bom.txt"),
        ("\ud800lone.txt", "lone.txt"),
        ("\u2028separator", "separator"),
        ("  spaces  ", "spaces"),
        ("👩\u200d🔬.png", "👩\u200d🔬.png"),
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("/", "file"),
        ("\0\0", "file"),
        (".hidden", ".hidden"),
    ],
)
def test_a_name_is_its_last_part_without_what_can_not_be_shown(given_name: str, shown: str) -> None:
    assert display_name(given_name) == shown


def test_a_long_name_keeps_its_ending() -> None:
    shown = display_name("x" * 1000 + ".tar.gz")
    assert len(shown) == 255
    assert shown.endswith("xx.gz")
    assert len(display_name("a." + "b" * 1000)) == 255


@given(st.text(max_size=400))
def test_whatever_comes_it_is_short_and_no_path(text: str) -> None:
    shown = display_name(text)
    assert 1 <= len(shown) <= 255
    assert not set(shown) & set("/\\\0\r\n")
    assert shown not in {".", ".."}
    shown.encode()
