"""What libraries make once and would make again in every process, kept beside the source.

A program in the sandbox may write only to its work folder, so what it made there is lost with the
job. `kept_folder` gives a folder below `KEPT` to the first process that may write there, which is a
model's probe: it runs outside of the sandbox. A process that may not gets a copy of its own.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / "__pycache__"


def kept_folder(name: str) -> Path:
    """The folder of that name that this process may write to, with what is kept in it."""
    folder = KEPT / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        copy = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        if folder.is_dir():
            shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=_unfinished)
        return copy
    return folder


def _unfinished(folder: str, names: list[str]) -> list[str]:
    """What another process is still writing."""
    return [name for name in names if ".tmp" in name or name.endswith(".lock")]
