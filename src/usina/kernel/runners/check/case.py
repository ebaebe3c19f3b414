"""What a program is tried with: ``FOLDER/examples/NAME.json``, or what the caller gives.

An example is ``{"params": {...}, "inputs": {"image": "cat.png"}}``; the paths, one or a list of
them for each input, are relative to ``examples/``. Both keys may be left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from usina.kernel.errors import Problem
from usina.kernel.runners.bench import InputFile, Inputs, Request
from usina.kernel.runners.form import Form

EXAMPLES: Final = "examples"


@dataclass(frozen=True, slots=True)
class Case:
    """A request that the program should do; ``params`` are as given, without the defaults."""

    name: str
    params: Mapping[str, Any]
    inputs: Inputs

    def request(self, form: Form) -> Request:
        """Raises ``Invalid`` where the platform would refuse it."""
        return Request.checked(form, self.params, self.inputs)


class _Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    params: dict[str, Any] = {}
    inputs: dict[str, str | list[str]] = {}


def read_examples(folder: Path, form: Form) -> tuple[list[Case], list[str]]:
    """The good examples of a runner folder by name, and what is wrong with the others."""
    cases: list[Case] = []
    faults: list[str] = []
    for path in sorted((folder / EXAMPLES).glob("*.json"), key=lambda each: each.stem):
        try:
            case = _read(path)
            case.request(form)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            faults.append(f"{path.name}: {place}: {first['msg']}" if place else first["msg"])
        except OSError as error:
            faults.append(f"{path.name}: {error.filename}: {error.strerror}")
        except Problem as problem:
            places = [f"{each.pointer}: {each.message}" for each in problem.errors]
            faults.append(f"{path.name}: {'; '.join(places) or problem.detail}")
        else:
            cases.append(case)
    return cases, faults


def _read(path: Path) -> Case:
    told = _Example.model_validate_json(path.read_bytes())
    listed = {
        name: [value] if isinstance(value, str) else value for name, value in told.inputs.items()
    }
    inputs = {
        name: tuple(InputFile.of(path.parent / each) for each in files)
        for name, files in listed.items()
    }
    return Case(path.stem, told.params, inputs)
