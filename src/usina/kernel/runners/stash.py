"""Emptied work folders, kept for the next job of the same kind.

Making three folders and a file costs some disks a millisecond, emptying them a few microseconds. A
folder is handed on only to jobs that may share a warm program, and only when it is plainly as it
was made; anything else is removed whole.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usina.kernel.ids import new_id
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.work import WorkFolder

_KEPT: Final = 32
_FEW_FILES: Final = 32
_OWN: Final = {"job.json", "inputs", "outputs"}

_Key = tuple[str, str, str]


@dataclass(slots=True)
class FolderStash:
    """Work folders below ``root``."""

    root: Path
    _free: dict[_Key, list[WorkFolder]] = field(default_factory=dict[_Key, list[WorkFolder]])

    def take(self, manifest: Manifest, organization_id: str) -> WorkFolder:
        """An empty folder: a used one where the program stays between jobs, else a new one."""
        free = self._free.get(_key(manifest, organization_id))
        return free.pop() if free else WorkFolder.create(self.root, new_id())

    def give_back(self, manifest: Manifest, organization_id: str, work: WorkFolder) -> bool:
        """Empties the folder and keeps it; false when it has to be removed instead. Cheap."""
        free = self._free.setdefault(_key(manifest, organization_id), [])
        if manifest.mode != "warm" or len(free) >= _KEPT or not _emptied(work):
            return False
        free.append(work)
        return True


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
