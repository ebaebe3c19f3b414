"""The guide of the command line says what is true."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Usina
from usina.faces.cli.failure import ExitCode

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
GROUPS = {
    *("jobs", "files", "db", "admin", "organization", "user", "key", "runner"),
    *("keys", "beds"),
    *("queues", "workers", "schedules", "webhooks"),
}


def commands() -> list[list[str]]:
    """Every line of the guide's examples that calls usina, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("usina ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_and_option_of_the_guide_exists(usina: Usina, words: list[str]) -> None:
    depth = 1
    while words[depth - 1] in GROUPS:
        depth += 1
    shown = usina(*words[:depth], "--help")

    assert shown.code == 0
    for option in (word for word in words[depth:] if re.fullmatch(r"--?[a-z].*", word)):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", shown.out), option


def test_every_exit_code_is_in_the_guide() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE.read_text(), re.MULTILINE)}

    assert told == {int(code) for code in ExitCode}


def test_every_command_has_help_and_takes_json(usina: Usina) -> None:
    for words in (
        *(["run"], ["models"], ["demo"], ["up"], ["doctor"], ["seed"], ["db", "upgrade"]),
        *(["jobs", each] for each in ("list", "get", "watch", "logs", "cancel", "retry")),
        *(["files", each] for each in ("put", "get")),
        *(["runner", each] for each in ("check", "run")),
        ["admin", "organization", "create"],
    ):
        shown = usina(*words, "--help")
        assert shown.code == 0
        assert "--json" in shown.out, words
