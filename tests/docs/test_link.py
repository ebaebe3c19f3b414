"""What the pages point at is there, and they name nothing that they should not."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.docs.page import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "clients").rglob("*.md")]
)
HOSTS = [
    ".".join(words)
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("anaconda", "org"),
        ("huggingface", "co"),
    )
]
MADE = ("inputs/", "outputs/", "logs/", "src/usina/apps/<room>/")
"""Folders of a job, of a data folder, of a room to be."""

PLACES = ("", "src", "src/usina", "src/usina/kernel")


def prose(page: Path) -> str:
    """The page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What headings are called in an address."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return frozenset(word.strip().replace(" ", "-") for word in words)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_internal_link_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(there), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    spans = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|toml|md|txt))`", prose(page))
    for path in spans:
        places = [ROOT / place / path for place in PLACES]
        assert path.startswith(MADE) or any(place.exists() for place in places), path


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT / 'docs')})" in index, page


def test_decisions_are_numbered_and_have_their_parts() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]} "), page.name
        parts = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "References"], page.name


def test_chapters_are_numbered_and_of_a_readable_length() -> None:
    chapters = sorted((ROOT / "docs" / "architecture").glob("*.md"))

    assert [int(page.name[:2]) for page in chapters] == list(range(len(chapters)))
    for page in chapters:
        assert 60 <= len(page.read_text().splitlines()) <= 150, page.name


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    first = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert first is not None
    assert first[1] == "[Unreleased]"


def test_no_file_names_a_registry_or_this_machine() -> None:
    """Whoever builds it chooses where packages come from; and nobody else has our folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        for host in HOSTS:
            assert host not in text, f"{name} names {host}"
        assert f"{ROOT}/" not in text, f"{name} names a folder of this machine"
