"""Where Blender is, and whether it is new enough."""

import os
import re
import shutil
import subprocess
from typing import Final

SETTING: Final = "BLENDER_PATH"
OLDEST: Final = (3, 4)

_HOW_TO_GET = (
    "install it (`apt-get install blender`, or https://www.blender.org/download), and name it by "
    f"{SETTING} where it is not on PATH."
)


class NoBlender(Exception):
    """It is not there, or too old; the message says what to do."""


def find_blender() -> str:
    """The path of the program; raises `NoBlender`."""
    told = os.environ.get(SETTING, "")
    found = shutil.which(told or "blender")
    if found is None and told:
        raise NoBlender(f"{SETTING} names {told}, where no program is; {_HOW_TO_GET}")
    if found is None:
        raise NoBlender(f"Blender was not found; {_HOW_TO_GET}")
    return found


def check_blender() -> None:
    """Ask it for its version; raises `NoBlender`."""
    path = find_blender()
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoBlender(f"{path} does not start: {error}; {_HOW_TO_GET}") from None
    told = re.search(r"Blender (\d+)\.(\d+)", done.stdout)
    if done.returncode or told is None:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NoBlender(f"{path} is no Blender that runs: {said[-1] if said else 'it is silent'}")
    if (int(told[1]), int(told[2])) < OLDEST:
        raise NoBlender(f"{path} is Blender {told[1]}.{told[2]}; 3.4 or newer is needed.")
