"""A store of each kind, and a disk that is soon full."""

import resource
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.storage.stores import STORES, Opening
from usina.kernel.storage.store import Store

SMALL_DISK_BYTES = 4 * 1024**2


@pytest.fixture(params=sorted(STORES))
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    return STORES[request.param](tmp_path)


@pytest.fixture
def store(opening: Opening) -> Generator[Store]:
    opened = opening()
    yield opened
    opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A folder where no more than four megabytes can be written.

    A file system of its own where mounting is allowed, else a limit on the size of files.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        yield folder
        # Lazily: who walks over all folders at this moment, as a check of runners does, holds it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def everything_in(folder: Path) -> list[str]:
    """Every file below the folder, partial ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
