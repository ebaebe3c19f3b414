"""What the pages tell people to type works, and prints what they say."""

import re
import shutil
from pathlib import Path

import pytest

from tests.docs.page import ROOT, Performance, alike, blocks, perform
from tests.docs.servers import servers

PAGES = [
    "README.md",
    "docs/guides/first-steps.md",
    "docs/guides/first-model.md",
    "docs/guides/bring-your-own-program.md",
    "docs/guides/receive-webhooks.md",
    "docs/guides/users-and-keys.md",
    "docs/guides/portraits.md",
]
_MOVING = "docs/guides/from-one-machine-to-many.md"
"""It wants three servers."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PAGES)
def test_every_block_runs_in_order_and_prints_what_is_shown(name: str, tmp_path: Path) -> None:
    for tool in ("bash", "curl", "gcc", "jq"):
        assert shutil.which(tool), f"the pages use {tool}: install it"

    assert _broken_words(name, perform(ROOT / name, tmp_path)) == []


@pytest.mark.timeout(240)
def test_a_platform_moves_to_real_servers_as_its_guide_says(tmp_path: Path) -> None:
    with servers() as addresses:
        settings = "".join(f"{name}='{value}'\n" for name, value in addresses.items())
        performance = perform(ROOT / _MOVING, tmp_path, {"servers.env": settings})

    assert _broken_words(_MOVING, performance) == []


def test_the_guide_to_many_machines_names_the_servers_as_the_test_does() -> None:
    with servers() as addresses:
        page = (ROOT / _MOVING).read_text()
        [shown] = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)

    assert re.findall(r"^(\w+)=", shown, re.MULTILINE) == list(addresses)


def _broken_words(name: str, performance: Performance) -> list[str]:
    """Where a page that ran to its end printed something else than it says."""
    assert performance.code == 0, performance.errors[-3000:]
    return [
        f"{name}:{block.line} printed:\n{printed}"
        for block, printed in zip(blocks(ROOT / name), performance.printed, strict=True)
        if block.prints is not None and not alike(block.prints, printed)
    ]


def test_the_pages_have_blocks_and_outputs_to_compare() -> None:
    for name in [*PAGES, _MOVING]:
        found = blocks(ROOT / name)
        assert len(found) >= 4
        assert sum(block.prints is not None for block in found) >= 3


def test_a_page_that_is_not_true_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nword=one\n```\n```sh\necho $word\n```\n\n```text\ntwo\n```\n"
        "```sh\nfalse\n```\n```sh\ntouch never\n```\n"
    )

    performance = perform(page, tmp_path)

    assert performance.code == 1
    assert performance.errors.endswith("block at line 11\n")
    assert performance.printed == ["", "one\n", ""]
    assert not alike(blocks(page)[1].prints or "", performance.printed[1])
    assert alike("o...\n", performance.printed[1])
    assert not (tmp_path / "never").exists()
