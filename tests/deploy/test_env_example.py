"""`.env.example` names only what there is, and is good as it stands."""

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.deploy.known import VARIABLES
from tests.docs.page import ROOT
from usina.settings import Settings

_EXAMPLE = ROOT / ".env.example"
_OF_THE_CLIENT = {"USINA_URL", "USINA_API_KEY"}


def _uncommented(path: Path) -> Path:
    """The example with everything set."""
    path.write_text(re.sub(r"^#(?=[A-Z_0-9]+=)", "", _EXAMPLE.read_text(), flags=re.MULTILINE))
    return path


def test_every_name_is_a_setting(tmp_path: Path) -> None:
    named = set(dotenv_values(_uncommented(tmp_path / "env")))

    assert len(named) > 30
    assert named - _OF_THE_CLIENT <= VARIABLES


def test_all_of_it_set_at_once_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    found = Settings.model_validate({"_env_file": None}).model_copy()
    given = Settings(_env_file=_uncommented(tmp_path / "env"))  # pyright: ignore[reportCallIssue]

    assert found.database_url is None
    assert given.database_url == "postgresql://usina:change-me-please@postgres:5432/usina"
    assert given.storage_url == "s3://usina/platform"
    assert given.warm_ahead == ("inflate-v1",)


def test_as_it_stands_it_sets_nothing() -> None:
    assert dotenv_values(_EXAMPLE) == {}


def test_every_line_is_a_name_or_a_word_about_it() -> None:
    for line in filter(None, _EXAMPLE.read_text().splitlines()):
        assert re.match(r"#[A-Z0-9_]+=\S*$|# ", line), line


def test_every_setting_of_many_machines_is_there() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    section = page.partition("## Many machines")[2].partition("\n## ")[0]
    wanted = set(re.findall(r"^\| `([A-Z0-9_]+)`", section, re.MULTILINE))

    assert wanted
    assert wanted <= set(re.findall(r"^#([A-Z0-9_]+)=", _EXAMPLE.read_text(), re.MULTILINE))
