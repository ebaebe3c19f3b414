"""``runner.toml``: what a program is, takes, gives and needs (contract, section 14)."""

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from usina.kernel.runners.fault import command_faults, param_faults
from usina.kernel.runners.gate import GateSpec
from usina.kernel.runners.seccomp import Network
from usina.kernel.runners.terms import STRICT, Install, Terms, Weights

Kind = Literal["model", "preview", "image", "video", "report", "data", "log"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._ -]{0,127}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Program = Annotated[str, Field(pattern=r"^(\$[A-Za-z_][A-Za-z0-9_]*|\w[\w.+-]*)$")]
MediaType = Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]*$")]
Argv = Annotated[tuple[str, ...], Field(min_length=1)]

FILE_NAME: Final = "runner.toml"
_PYTHON: Final = "{python}"
_NO_HOMES: Final[Mapping[str, str]] = {}
_SECRETS: Final = re.compile(
    r"(USINA_API_KEY|USINA_STORAGE_URL|SECRET_KEY|DATABASE_URL)"
    r"|(REDIS|POSTGRES|FIRST_SUPERUSER|S3|MINIO)_.*"
)


class ManifestError(Exception):
    """A folder that is no usable runner; the message names the file, the key and the fault."""


class NotInstalled(Exception):
    """The program can not be started here; the message says why and what would fix it."""


class _Table(BaseModel):
    model_config = STRICT


class Environment(_Table):
    """``python`` is an interpreter's path, or ``$NAME`` of a variable that holds one; ``pass``
    names the variables of the platform that the program may see; ``server`` is the one of them
    that names a server which the program calls. ``programs`` are those that it calls: names on
    ``PATH``, or ``$NAME`` of a variable of ``pass`` that holds a path or such a name."""

    python: str | None = None
    pass_: tuple[Variable, ...] = Field(default=(), alias="pass")
    server: Variable | None = None
    programs: tuple[Program, ...] = ()

    @field_validator("pass_")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if _SECRETS.fullmatch(name):
                raise ValueError(f"{name} belongs to the platform; a program never sees it")
        return names

    @model_validator(mode="after")
    def _server_is_passed(self) -> Self:
        if self.server is not None and self.server not in self.pass_:
            raise ValueError(f"{self.server} is not among those of pass")
        for name in self.programs:
            if name.startswith("$") and name[1:] not in self.pass_:
                raise ValueError(f"{name} of programs is not among those of pass")
        return self


class InputSpec(_Table):
    """``made_by`` names the model whose output of this input's name a room may make and put here,
    where nobody gives one."""

    media_types: tuple[MediaType, ...] = ()
    required: bool = True
    many: bool = False
    made_by: Name | None = None


class OutputSpec(_Table):
    kind: Kind
    required: bool = True


class Resources(_Table):
    memory_bytes: int = Field(default=1024**3, ge=16 * 1024**2)
    slots: int = Field(default=1, ge=1, le=1024)
    at_once: int | None = Field(default=None, ge=1, le=1024)
    """How many of its jobs a worker runs beside each other, null for as many as it has room."""
    gpu: int = Field(default=0, ge=0, le=64)
    gpu_memory_bytes: int = Field(default=0, ge=0)
    cpu: bool = True
    """Whether it can run without a GPU; unless told, as it asks for none."""

    @field_validator("gpu", mode="before")
    @classmethod
    def _by_variable(cls, told: object, info: ValidationInfo) -> object:
        """``$NAME`` is the number that a variable holds, 0 where it is unset."""
        if isinstance(told, str) and told.startswith("$"):
            variables: Mapping[str, str] = info.context or {}
            return variables.get(told[1:]) or 0
        return told

    @model_validator(mode="before")
    @classmethod
    def _gpu_or_not(cls, told: dict[str, Any]) -> dict[str, Any]:
        return {"cpu": not told.get("gpu"), **told}

    @model_validator(mode="after")
    def _runs_on_something(self) -> Self:
        if not self.gpu and not self.cpu:
            raise ValueError("cpu = false needs gpu to be 1 or more")
        return self


class ProbeSpec(_Table):
    """``every_seconds`` is how often a worker asks again; once where it is null."""

    command: Argv
    every_seconds: float | None = Field(default=None, ge=1, le=86_400)


class Manifest(_Table):
    """One runner folder, read and checked by `load_manifest`; ``homes`` are variables that hold
    for its program wherever the environment does not name them."""

    folder: Path
    homes: dict[str, str] = {}
    name: Name
    version: str = Field(min_length=1, max_length=64)
    task: str = Field(min_length=1, max_length=64)
    description: str = Field(min_length=1, max_length=2000)
    license: str = Field(min_length=1, max_length=200)
    command: Argv
    mode: Literal["cold", "warm"] = "cold"
    shared: bool = False
    deterministic: bool = False
    network: Network = "none"
    timeout_seconds: float = Field(default=3600, ge=1, le=604_800)
    environment: Environment = Environment()
    inputs: dict[Name, InputSpec] = {}
    params: dict[ParameterName, dict[str, Any]] = {}
    outputs: dict[FileName, OutputSpec] = {}
    resources: Resources = Resources()
    gates: dict[Name, GateSpec] = {}
    probe: ProbeSpec | None = None
    terms: Terms | None = None
    weights: tuple[Weights, ...] = ()
    install: Install | None = None

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of a job's ``inputs``: ids of files or artifacts by input name."""
        properties = {name: _input_property(spec) for name, spec in self.inputs.items()}
        return _object(properties, [name for name, spec in self.inputs.items() if spec.required])

    def params_schema(self) -> dict[str, Any]:
        """JSON Schema of a job's ``params``; ``required = true`` of a property is lifted."""
        properties = {
            name: {key: value for key, value in declared.items() if not _lifted(key, value)}
            for name, declared in self.params.items()
        }
        required = [
            name for name, declared in self.params.items() if declared.get("required") is True
        ]
        return _object(properties, required)

    def argv(self) -> tuple[str, ...]:
        """The command as it is started; raises `NotInstalled`."""
        return self._resolved(self.command)

    def probe_argv(self) -> tuple[str, ...] | None:
        """The probe's command as it is started; raises `NotInstalled`."""
        return self._resolved(self.probe.command) if self.probe else None

    def passed(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables that this program may see, of those that are set."""
        told = {**self.homes, **environment}
        return {name: told[name] for name in self.environment.pass_ if name in told}

    def reach(self, passed: Mapping[str, str]) -> Network:
        """The network of a program that sees these variables: the machine's where one of them names
        its server, else as declared."""
        return "outbound" if passed.get(self.environment.server or "") else self.network

    def told(self) -> dict[str, str]:
        """What a job's program is told for its report: the notice of the model's terms."""
        return {"notice": self.terms.notice} if self.terms and self.terms.notice else {}

    def _resolved(self, command: Sequence[str]) -> tuple[str, ...]:
        program, *arguments = (self._absolute(word) for word in command)
        found = shutil.which(program)
        if found is None:
            raise NotInstalled(self._missing(command[0], program))
        return (found, *arguments)

    def _absolute(self, word: str) -> str:
        """A word that names something in the runner's folder is its path; others stay."""
        if word == _PYTHON:
            return self._python()
        inside = os.path.normpath(self.folder / word)
        return inside if os.path.lexists(inside) and not word.startswith("-") else word

    def _python(self) -> str:
        declared = self.environment.python
        if declared is None:
            return sys.executable
        path = declared
        if declared.startswith("$"):
            path = os.environ.get(declared[1:]) or self.homes.get(declared[1:], "")
            if not path:
                raise NotInstalled(
                    f"{declared[1:]} is not set; set it to the Python of the model's environment."
                )
        return str(self.folder / Path(path).expanduser())

    def _missing(self, word: str, program: str) -> str:
        declared = self.environment.python
        if word == _PYTHON and declared is not None and declared.startswith("$"):
            return f"There is no program at {program}, which {declared[1:]} names; set it right."
        if word == _PYTHON:
            return f"There is no Python at {program}; make the model's environment there."
        return f"The program {word!r} was not found; install it, or put it on PATH."


def load_manifest(folder: Path, homes: Mapping[str, str] = _NO_HOMES) -> Manifest:
    """Reads ``folder/runner.toml``; raises `ManifestError`."""
    path = folder / FILE_NAME
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: not valid TOML: {error}") from None
    for key in {"folder", "homes"} & told.keys():
        raise ManifestError(f"{path}: {key}: unknown key")
    try:
        manifest = Manifest.model_validate(
            {**told, "folder": folder.absolute(), "homes": homes},
            context={**homes, **os.environ},
        )
    except ValidationError as error:
        raise ManifestError(f"{path}: {_first_fault(error)}") from None
    for key, fault in _faults(manifest):
        raise ManifestError(f"{path}: {key}: {fault}")
    return manifest


def _faults(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from command_faults("command", manifest.folder, manifest.command)
    if manifest.probe is not None:
        yield from command_faults("probe.command", manifest.folder, manifest.probe.command)
    if manifest.install is not None:
        for file in manifest.install.requirements:
            own = not file.startswith("{source}/")
            if own and not (manifest.folder / file).is_file():
                yield "install.requirements", f"{file!r} is not in the runner's folder"
    for name in manifest.params:
        yield from param_faults(name, manifest.params_schema()["properties"][name])


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    return f"{key}: {first['msg']}"


def _input_property(spec: InputSpec) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "string", "description": "The id of a file or an artifact."}
    if spec.media_types:
        one["x-media-types"] = list(spec.media_types)
    if not spec.many:
        return one
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _lifted(key: str, value: object) -> bool:
    return key == "required" and isinstance(value, bool)


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
