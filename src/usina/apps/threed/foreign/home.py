"""Where a foreign model lives: the Python of its environment, and its script.

Light on purpose: a probe imports this and nothing else.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TOLD: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
}
"""A program without a network that tries one anyway says less clearly what it lacks; and what it
says is to be heard at once."""


class NotInstalled(Exception):
    """The model can not run here; the message says what is missing and what to set."""


@dataclass(frozen=True, slots=True)
class Home:
    """``prefix`` is that of the model's variables, as ``SF3D``."""

    prefix: str
    python: Path
    script: Path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the program sees: what this process does, its own cache of the hub where
        ``PREFIX_HF_HOME`` names one, and that there is no network."""
        own = os.environ.get(f"{self.prefix}_HF_HOME")
        cache = {"HF_HOME": own} if own else {}
        return {**os.environ, **cache, **_TOLD, **(more or {})}


def find_home(prefix: str, script_name: str) -> Home:
    """As ``PREFIX_PYTHON_PATH`` and ``PREFIX_SCRIPT_PATH`` say; raises `NotInstalled`."""
    python = _named(f"{prefix}_PYTHON_PATH", "the Python of the model's own environment")
    if not os.access(python, os.X_OK):
        raise NotInstalled(f"{prefix}_PYTHON_PATH names {python}, which can not be started.")
    script = _named(f"{prefix}_SCRIPT_PATH", f"{script_name} in the model's checkout")
    return Home(prefix, python, script)


def find_config(home: Home, usual: str) -> Path:
    """As ``PREFIX_CONFIG`` says, or the ``usual`` one in the checkout; raises `NotInstalled`."""
    variable = f"{home.prefix}_CONFIG"
    told = os.environ.get(variable)
    config = Path(told) if told else home.script.parent / usual
    if not config.is_file():
        raise NotInstalled(
            f"There is no configuration at {config}; set {variable} to the model's {usual}."
        )
    return config


def _named(variable: str, what: str) -> Path:
    told = os.environ.get(variable)
    if not told:
        raise NotInstalled(f"{variable} is not set; set it to the path of {what}.")
    path = Path(told)
    if not path.is_absolute():
        raise NotInstalled(f"{variable} is {told}; it has to be a whole path, of {what}.")
    if not path.is_file():
        raise NotInstalled(f"{variable} names {told}, where no file is; it is the path of {what}.")
    return path
