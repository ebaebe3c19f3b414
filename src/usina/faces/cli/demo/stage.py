"""The demo's own platform: a free port, its data beside the results, stopped at the end."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from usina.faces.cli.background import launch, own_address
from usina.faces.cli.output import say
from usina.faces.cli.platform import Address

_STOP_SECONDS: Final = 15.0


@contextmanager
def own_platform(folder: Path) -> Generator[Address]:
    """A platform that lives as long as the context."""
    say(f"Starting a platform in {folder}.")
    process = launch(folder.absolute(), 0, 0)
    try:
        yield own_address(folder)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
