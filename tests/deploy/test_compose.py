"""`deploy/compose.yml` names only what there is, and keeps its promises."""

import importlib.util
import re
import shlex
from typing import Any

import pytest
import yaml

from tests.deploy.known import VARIABLES
from tests.docs.page import ROOT
from tests.docs.test_reference import commands

_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OURS = {name: service for name, service in _SERVICES.items() if service["image"] == "usina"}
_ONCE = {"schema", "bucket"}
_STAY = sorted(set(_SERVICES) - _ONCE)
_WORKER_SECONDS = 10
"""What a worker takes at most to hand its jobs back, by the contract."""


def test_every_part_is_there() -> None:
    assert set(_OURS) == {"schema", "api", "worker", "beat", "flower"}
    assert set(_SERVICES) - set(_OURS) == {"postgres", "redis", "seaweedfs", "bucket"}


def test_every_variable_is_a_setting() -> None:
    text = (ROOT / "deploy/compose.yml").read_text()
    given = {name for service in _SERVICES.values() for name in service.get("environment", {})}
    taken = set(re.findall(r"\$\{([A-Z0-9_]+)", text))

    assert given | taken
    assert given | taken <= VARIABLES


@pytest.mark.parametrize("name", sorted(_OURS))
def test_every_command_is_one_of_ours(name: str) -> None:
    words = shlex.split(_OURS[name]["command"])
    if words[:2] == ["sh", "-ec"]:
        lines = [shlex.split(line) for line in words[2].split("&&")]
    else:
        lines = [words]
    for line in lines:
        if line[0] == "celery":
            assert line[1:4] == ["-A", "usina.worker", "flower"]
            assert importlib.util.find_spec("usina.worker") is not None
        else:
            typed = " ".join(word for word in line if not word.startswith("-"))
            assert any(typed.startswith(command) for command in commands()), line


@pytest.mark.parametrize("name", sorted(_SERVICES))
def test_who_waits_waits_for_what_can_be_waited_for(name: str) -> None:
    for other, how in _SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "test" in _SERVICES[other]["healthcheck"], f"{other} has no check"
        else:
            assert how["condition"] == "service_completed_successfully"
            assert other in _ONCE


@pytest.mark.parametrize("name", _STAY)
def test_who_stays_comes_back_and_may_end_in_peace(name: str) -> None:
    service = _SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["stop_signal"] == ("SIGINT" if name == "postgres" else "SIGTERM")
    assert int(service["stop_grace_period"].removesuffix("s")) > 2 * _WORKER_SECONDS


def test_what_must_stay_lies_in_volumes() -> None:
    used = {
        volume.split(":")[0]
        for service in _SERVICES.values()
        for volume in service.get("volumes", [])
    }

    assert used == set(_COMPOSE["volumes"]) == {"postgres", "redis", "objects"}


def test_redis_forgets_nothing() -> None:
    words = shlex.split(_SERVICES["redis"]["command"])

    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


def test_no_secret_stands_in_the_file() -> None:
    for service in _SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY", variable):
                assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?.+\}", value), variable
    assert all(service["env_file"] == ".env" for service in _OURS.values())
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_nobody_outside_reaches_a_port_by_default() -> None:
    for service in _SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
