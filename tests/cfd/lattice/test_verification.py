"""The verification: computed once, told as it was computed, and told when it is not kept."""

import json
import shutil
from pathlib import Path

import pytest

from usina.apps.cfd.verification.__main__ import main
from usina.apps.cfd.verification.page import PAGE

GUIDES = Path(__file__).parents[3] / "docs" / "guides"


def test_the_page_says_what_the_records_say_and_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(GUIDES / "verification", tmp_path / "verification")

    assert main(["--page", "--out", str(tmp_path)]) == 0
    assert (tmp_path / PAGE).read_text() == (GUIDES / PAGE).read_text()
    for picture in (tmp_path / "pictures").iterdir():
        assert (GUIDES / "pictures" / picture.name).is_file()


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one part, computed anew."""
    folder = tmp_path_factory.mktemp("guides")
    assert main(["plates", "--out", str(folder)]) == 0
    return folder


def test_what_is_there_is_not_computed_again(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(plates, tmp_path, dirs_exist_ok=True)
    page = (tmp_path / PAGE).read_text()
    assert "## Between two plates" in page
    assert page.count("## ") == 1

    record = tmp_path / "verification" / "plates.json"
    rows = json.loads(record.read_text())
    del rows["9"]
    record.write_text(json.dumps(rows))
    assert main(["plates", "--out", str(tmp_path)]) == 0
    computed = [line for line in capsys.readouterr().out.splitlines() if "plates" in line]
    assert [line.split(" in ")[0] for line in computed] == ["plates 9: 1"]


def test_a_figure_beyond_its_tolerance_is_shown_and_fails(plates: Path, tmp_path: Path) -> None:
    shutil.copytree(plates, tmp_path, dirs_exist_ok=True)
    record = tmp_path / "verification" / "plates.json"
    rows = json.loads(record.read_text())
    rows["4"]["computed"] = 1.1
    record.write_text(json.dumps(rows))

    assert main(["--page", "--out", str(tmp_path)]) == 1
    assert "| 4 apart | 1.1 | 1 | +10 % | 1.0e-09 | **no** |" in (tmp_path / PAGE).read_text()


def test_a_part_that_is_not_there_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["arays"])
    assert "no such part: arays" in capsys.readouterr().err
