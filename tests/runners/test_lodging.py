"""Where a job's folder is while a warm program works on it."""

from pathlib import Path

import pytest

from usina.kernel.runners.lodging import Guests
from usina.kernel.runners.work import WorkFolder

BROUGHT = ("job.json", "inputs/image.png", "checkpoint/state-3.txt")


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    made = WorkFolder.create(tmp_path, "job")
    for name in BROUGHT:
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).write_text(name)
    return made


def home(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def test_a_folder_that_another_program_knew_goes_as_new_ones_with_all_that_was_brought(
    work: WorkFolder, tmp_path: Path
) -> None:
    guests = Guests()
    first = guests.lodge(work, home(tmp_path, "first"))
    held = (first.inside.path / "inputs").stat().st_ino
    first.leave()
    inside = guests.lodge(work, home(tmp_path, "second")).inside
    assert (inside.path / "inputs").stat().st_ino != held
    assert [(inside.path / name).read_text() for name in BROUGHT] == [*BROUGHT]
    assert not [*inside.outputs.iterdir()]


def test_what_the_first_program_left_among_the_outputs_does_not_come_along(
    work: WorkFolder, tmp_path: Path
) -> None:
    guests = Guests()
    first = guests.lodge(work, home(tmp_path, "first"))
    (first.inside.outputs / "left.txt").write_text("mine")
    first.leave()
    inside = guests.lodge(work, home(tmp_path, "second")).inside
    assert not [*inside.outputs.iterdir()]
    assert not (tmp_path / "job-old").exists()
