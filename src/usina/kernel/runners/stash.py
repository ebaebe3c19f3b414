"""Emptied work folders, kept for the next job of the same kind.

Making three folders and a file costs some disks a millisecond, emptying them a few microseconds. A
folder is handed on only to jobs that the same warm program does, and only when it is plainly as it
was made; anything else is removed whole.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from usina.kernel.ids import new_id
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.work import WorkFolder

_KEPT: Final = 32
_FEW_FILES: Final = 32
_OWN: Final = {"job.json", "inputs", "outputs"}

_Key = tuple[str, str, str]


class _Kept(NamedTuple):
    """An empty folder, and the home of the warm program that used it."""

    key: _Key
    home: Path
    work: WorkFolder


@dataclass(slots=True)
class FolderStash:
    """Work folders below ``root``."""

    root: Path
    _free: list[_Kept] = field(default_factory=list[_Kept])

    def take(self, manifest: Manifest, organization_id: str, home: Path | None) -> WorkFolder:
        """An empty folder: one that the program with this home has used before, else a new one."""
        key = _key(manifest, organization_id)
        for place in range(len(self._free) - 1, -1, -1):
            kept = self._free[place]
            if kept.home == home and kept.key == key:
                return self._free.pop(place).work
        return WorkFolder.create(self.root, new_id())

    def give_back(
        self, manifest: Manifest, organization_id: str, work: WorkFolder, home: Path | None
    ) -> WorkFolder | None:
        """Empties the folder and keeps it; returns the one that has to be removed instead: this
        one, or of too many the longest unused. Cheap."""
        if manifest.mode != "warm" or home is None or not _emptied(work):
            return work
        self._free.append(_Kept(_key(manifest, organization_id), home, work))
        return self._free.pop(0).work if len(self._free) > _KEPT else None


def _key(manifest: Manifest, organization_id: str) -> _Key:
    return manifest.name, manifest.version, "" if manifest.shared else organization_id


def _emptied(work: WorkFolder) -> bool:
    """Deletes a few plain files; false for whatever is not as the platform made it."""
    top = str(work.path)
    try:
        if set(os.listdir(top)) != _OWN or not _is_own(top):  # noqa: PTH208
            return False
        return all(_without_files(f"{top}/{name}") for name in ("inputs", "outputs"))
    except OSError:
        return False


def _without_files(folder: str) -> bool:
    if not _is_own(folder):
        return False
    with os.scandir(folder) as entries:
        found = list(entries)
    if len(found) > _FEW_FILES or not all(e.is_file(follow_symlinks=False) for e in found):
        return False
    for entry in found:
        os.unlink(entry.path)  # noqa: PTH108
    return True


def _is_own(folder: str) -> bool:
    seen = os.lstat(folder)
    return stat.S_ISDIR(seen.st_mode) and stat.S_IMODE(seen.st_mode) == 0o700
