"""The reference and the code name the same things: settings, metrics, codes, commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import typer.main
from prometheus_client.metrics_core import Metric
from pydantic_core import PydanticUndefined

from tests.docs.page import ROOT
from usina.doctor import settings_in_force
from usina.faces.cli.main import build
from usina.homes import Homes
from usina.http_kit.problem import MethodNotAllowed
from usina.kernel.errors import Problem
from usina.kernel.failpoints import DISTRIBUTED, NAMES, ROOMS
from usina.kernel.jobs.state import ErrorCode, JobError
from usina.kernel.telemetry import REGISTRY
from usina.settings import Settings

SOURCE = ROOT / "src"
REFERENCE = ROOT / "docs" / "reference"
ONLY_BY_COMMAND = {
    "folder_in_use",
    "database_unavailable",
    "copy_differs",
    "copy_onto_itself",
    "copy_source_in_use",
    "copy_source_revision",
    "copy_target_missing",
    "copy_target_not_empty",
    "copy_unfinished",
    "copy_unknown_tables",
}
"""Codes that no route answers: they are raised where only a command of this machine gets."""

ONLY_OF_JOBS = {"content_damaged"}
"""Codes of problems that end an attempt instead of a request."""


def rows(page: Path) -> dict[str, list[str]]:
    """The tables of a page: their first cell, in code, and the cells after it."""
    lines = re.findall(r"^\| `([^`]+)` \|(.*)\|$", page.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in lines}


def modules() -> Iterator[ast.Module]:
    for path in SOURCE.rglob("*.py"):
        yield ast.parse(path.read_text())


def calls() -> Iterator[ast.Call]:
    for module in modules():
        yield from (node for node in ast.walk(module) if isinstance(node, ast.Call))


def name_of(called: ast.expr) -> str:
    """`Conflict` of ``Conflict(...)``, `Invalid` of ``Invalid.at(...)``."""
    if isinstance(called, ast.Attribute) and called.attr == "at":
        called = called.value
    return called.id if isinstance(called, ast.Name) else ""


def kinds(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def problem_codes() -> set[str]:
    """Every code that a problem may have: its kind's own, and those given where it is raised."""
    assert MethodNotAllowed in kinds(), "the faces' own kinds count too"
    names = {kind.__name__ for kind in kinds()} | {"cls"}
    given = {
        word.value.value
        for call in calls()
        if name_of(call.func) in names
        for word in call.keywords
        if word.arg == "code" and isinstance(word.value, ast.Constant)
    }
    return {kind.code for kind in kinds()} | {str(code) for code in given}


def variables() -> dict[str, str]:
    """The variable of each setting, by its field."""
    settings = Settings(_env_file=None)
    names = [name for name, _ in settings_in_force(settings)]
    return dict(zip(Settings.model_fields, names, strict=True))


def test_every_setting_has_its_line_with_its_default() -> None:
    told = rows(REFERENCE / "settings.md")

    for field, variable in variables().items():
        assert variable in told, f"settings.md has no line for {variable}"
        default = Settings.model_fields[field].default
        cell = told[variable][0].strip("`")
        if default in (None, ()):
            assert cell == "none", variable
        elif default is not PydanticUndefined:
            assert cell == f"{default:g}" if isinstance(default, float) else str(default), variable
        assert told[variable][1].endswith("."), variable


def test_no_line_names_a_setting_that_is_not_there() -> None:
    source = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))

    for variable in rows(REFERENCE / "settings.md"):
        known = variable in variables().values()
        assert known or f'"{variable}"' in source, f"nothing reads {variable}"


def test_settings_that_are_not_used_yet_are_called_so() -> None:
    """A setting that changes nothing says it; one that is used does not."""
    source = "\n".join(
        path.read_text() for path in SOURCE.rglob("*.py") if path.name != "doctor.py"
    )
    told = rows(REFERENCE / "settings.md")

    for field, variable in variables().items():
        home = field in Homes.model_fields
        used = (
            home
            or re.search(rf"settings\.{field.removesuffix('_seconds')}\w*\b", source) is not None
        )
        idle = re.search(r"not used yet|Kept for", told[variable][1])
        assert used != bool(idle), variable


def test_every_metric_is_in_the_reference_and_no_other() -> None:
    collected: list[Metric] = list(REGISTRY.collect())
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in collected}

    assert set(rows(REFERENCE / "metrics.md")) == {
        name for name in names if not name.endswith("_created")
    }


def test_the_labels_of_metrics_are_those_in_the_reference() -> None:
    told = rows(REFERENCE / "metrics.md")

    for module in modules():
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call)
                and name_of(node.func) in {"Counter", "Gauge", "Histogram"}
                and len(node.args) > 1  # Python's own Counter has no words to explain it
            ):
                name = ast.literal_eval(node.args[0])
                name += "_total" if name_of(node.func) == "Counter" else ""
                labels = ast.literal_eval(node.args[2]) if len(node.args) > 2 else []
                assert re.findall(r"`(\w+)`", told[name][1]) == labels, name


def test_every_problem_code_is_in_the_reference() -> None:
    pages = [(REFERENCE / name).read_text() for name in ("api.md", "errors.md")]
    told = {
        code
        for page in pages
        for code in re.findall(r"^\| \d{3} \| `(\w+)` \|", page, re.MULTILINE)
    }

    assert problem_codes() - ONLY_BY_COMMAND - ONLY_OF_JOBS - told == set()
    assert told - problem_codes() == set()


def test_every_code_of_copies_is_in_the_reference() -> None:
    page = (REFERENCE / "database.md").read_text()
    told = set(re.findall(r"^\| \d \| `(\w+)` \|", page, re.MULTILINE))

    assert {code for code in ONLY_BY_COMMAND if code != "name_taken"} <= told
    assert told <= problem_codes()


def test_every_error_code_of_jobs_is_in_the_reference() -> None:
    told = rows(REFERENCE / "errors.md")
    page = (REFERENCE / "errors.md").read_text()

    assert {code.value for code in ErrorCode} <= told.keys()
    for code in ErrorCode:
        repeated = re.search(rf"^\| `{code}` \| (yes|no) \|", page, re.MULTILINE)
        assert repeated is not None, code
        if code is not ErrorCode.WORKER_LOST:
            assert (repeated[1] == "yes") == JobError.of(code, None, "").retryable, code


def test_every_reason_that_a_program_may_give_is_in_the_reference() -> None:
    page = (REFERENCE / "errors.md").read_text()
    reasons = {
        str(ast.literal_eval(call.args[0]))
        for call in calls()
        if name_of(call.func) == "InvalidInput" and isinstance(call.args[0], ast.Constant)
    }
    warnings = {
        str(ast.literal_eval(call.args[0]))
        for call in calls()
        if name_of(call.func) == "Notice" and isinstance(call.args[0], ast.Constant)
    }

    assert len(reasons) > 5
    for word in reasons | warnings:
        assert f"`{word}`" in page, word


def test_every_failpoint_is_declared_used_and_told() -> None:
    used = {
        str(ast.literal_eval(call.args[0]))
        for call in calls()
        if isinstance(call.func, ast.Name) and call.func.id == "reach"
    }
    chapters = ROOT / "docs" / "architecture"
    told = rows(chapters / "11-testing-and-torture.md") | rows(chapters / "15-the-rig.md")

    assert used == NAMES | DISTRIBUTED | ROOMS
    assert used == {name for name in told if re.fullmatch(r"[a-z]+\.[a-z_]+", name)}


def commands() -> Iterator[str]:
    """Every command, as it is typed."""

    def below(command: object, path: list[str]) -> Iterator[str]:
        members: dict[str, object] = getattr(command, "commands", {})
        if not members:
            yield " ".join(path)
        for name, member in members.items():
            yield from below(member, [*path, name])

    yield from below(typer.main.get_command(build()), ["usina"])


def test_every_command_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guides" / "command-line.md").read_text()
    found = list(commands())

    assert "usina jobs cancel" in found
    for command in found:
        assert re.search(rf"{re.escape(command)}\b", guide), command


def test_the_platform_passes_no_variable_that_the_reference_does_not_know() -> None:
    told = rows(REFERENCE / "settings.md")
    named = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"\bUSINA_[A-Z_]+[A-Z]\b", path.read_text())
    }

    assert named - told.keys() == set()
