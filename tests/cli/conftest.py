"""The command line in this process, against a platform of the tests."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake import FakePlatform
from usina.faces.cli.main import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


Usina = Callable[..., Outcome]


@pytest.fixture(scope="session")
def server() -> Iterator[FakePlatform]:
    fake = FakePlatform()
    yield fake
    fake.stop()


@pytest.fixture
def platform(server: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    server.forget()
    monkeypatch.setenv("USINA_URL", server.url)
    monkeypatch.setenv("USINA_API_KEY", "key-1")
    return server


@pytest.fixture
def usina(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Usina:
    """Runs one command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run
