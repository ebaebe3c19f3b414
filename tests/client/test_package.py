"""What the package promises about itself."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import usina_client
from usina_client import AsyncClient, Client

ROOT = Path(__file__).parents[2] / "clients" / "python"
PACKAGE = ROOT / "src" / "usina_client"


def test_the_blocking_client_is_what_the_asynchronous_one_gives() -> None:
    check = subprocess.run(
        [sys.executable, str(ROOT / "generate_sync.py"), "--check"], capture_output=True, text=True
    )

    assert check.returncode == 0, check.stderr


def test_both_clients_offer_the_same() -> None:
    asynchronous, blocking = AsyncClient("http://h"), Client("http://h")

    for name in (
        *("models", "files", "jobs", "artifacts", "workers", "queues", "schedules"),
        *("beds", "simulations", "sweeps"),
    ):
        ours, theirs = public(getattr(asynchronous, name)), public(getattr(blocking, name))
        assert ours == theirs
        for method in ours:
            wanted = inspect.signature(getattr(getattr(asynchronous, name), method)).parameters
            given = inspect.signature(getattr(getattr(blocking, name), method)).parameters
            assert list(given) == list(wanted)


def test_only_one_module_knows_the_http_library() -> None:
    knowing = [path.name for path in PACKAGE.rglob("*.py") if "httpx" in path.read_text()]

    assert knowing == ["_transport.py"]


def test_nothing_of_asyncio_is_left_in_the_blocking_client() -> None:
    for path in (PACKAGE / "_sync").glob("*.py"):
        code = path.read_text().split("\n", 1)[1]
        assert not re.search(r"\b(async|await|asyncio|Async\w+)\b", code), path.name


def test_the_public_names_are_all_there() -> None:
    assert sorted(usina_client.__all__) == usina_client.__all__
    assert all(hasattr(usina_client, name) for name in usina_client.__all__)
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize(
    "kind",
    [
        *("AsyncClient", "Client", "Jobs", "AsyncJobs", "Files", "Artifacts", "Models", "Pager"),
        *("Workers", "Queues", "Schedules", "Beds", "Simulations", "Sweeps", "AsyncSweeps"),
    ],
)
def test_no_method_takes_or_gives_just_anything(kind: str) -> None:
    for name, method in inspect.getmembers(getattr(usina_client, kind), inspect.isfunction):
        if name.startswith("_") and name != "__init__":
            continue
        hints = get_type_hints(method)
        assert "return" in hints
        assert set(hints) >= set(inspect.signature(method).parameters) - {"self"}
        assert not any("typing.Any" in repr(hint) or hint is Any for hint in hints.values())


def test_importing_it_costs_little() -> None:
    """No web framework, no database, nothing of the server."""
    code = "import sys, usina_client; print(*sorted(m.split('.')[0] for m in sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"fastapi", "starlette", "sqlalchemy", "usina", "rich"} & set(modules)


def public(resource: object) -> list[str]:
    return [name for name, _ in inspect.getmembers(resource, callable) if not name.startswith("_")]
