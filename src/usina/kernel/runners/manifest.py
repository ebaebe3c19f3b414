"""``runner.toml``: what a program is, takes, gives and needs (contract, section 14)."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import jsonschema_rs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from usina.kernel.runners.gate import GateSpec

Kind = Literal["model", "preview", "image", "video", "report", "data", "log"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._ -]{0,127}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
MediaType = Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]*$")]
Argv = Annotated[tuple[str, ...], Field(min_length=1)]

FILE_NAME: Final = "runner.toml"
_PROBE_SECONDS: Final = 60.0
_REASON_LENGTH: Final = 500
_PYTHON: Final = "{python}"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SECRETS: Final = re.compile(
    r"(USINA_API_KEY|USINA_STORAGE_URL|SECRET_KEY|DATABASE_URL)"
    r"|(REDIS|POSTGRES|FIRST_SUPERUSER|S3|MINIO)_.*"
)


class ManifestError(Exception):
    """A folder that is no usable runner; the message names the file, the key and the fault."""


class NotInstalled(Exception):
    """The program can not be started here; the message says why and what would fix it."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(_Table):
    """``python`` is an interpreter's path, or ``$NAME`` of a variable that holds one; ``pass``
    names the variables of the platform that the program may see."""

    python: str | None = None
    pass_: tuple[Variable, ...] = Field(default=(), alias="pass")

    @field_validator("pass_")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if _SECRETS.fullmatch(name):
                raise ValueError(f"{name} belongs to the platform; a program never sees it")
        return names


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
    gpu: int = Field(default=0, ge=0, le=64)


class ProbeSpec(_Table):
    command: Argv


class Manifest(_Table):
    """One runner folder, read and checked by `load_manifest`."""

    folder: Path
    name: Name
    version: str = Field(min_length=1, max_length=64)
    task: str = Field(min_length=1, max_length=64)
    description: str = Field(min_length=1, max_length=2000)
    license: str = Field(min_length=1, max_length=200)
    command: Argv
    mode: Literal["cold", "warm"] = "cold"
    shared: bool = False
    deterministic: bool = False
    network: Literal["none", "loopback", "outbound"] = "none"
    timeout_seconds: float = Field(default=3600, ge=1, le=604_800)
    environment: Environment = Environment()
    inputs: dict[Name, InputSpec] = {}
    params: dict[ParameterName, dict[str, Any]] = {}
    outputs: dict[FileName, OutputSpec] = {}
    resources: Resources = Resources()
    gates: dict[Name, GateSpec] = {}
    probe: ProbeSpec | None = None

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
        return {name: environment[name] for name in self.environment.pass_ if name in environment}

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
            path = os.environ.get(declared[1:], "")
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


def load_manifest(folder: Path) -> Manifest:
    """Reads ``folder/runner.toml``; raises `ManifestError`."""
    path = folder / FILE_NAME
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: not valid TOML: {error}") from None
    if "folder" in told:
        raise ManifestError(f"{path}: folder: unknown key")
    try:
        manifest = Manifest.model_validate({**told, "folder": folder.absolute()})
    except ValidationError as error:
        raise ManifestError(f"{path}: {_first_fault(error)}") from None
    for key, fault in _faults(manifest):
        raise ManifestError(f"{path}: {key}: {fault}")
    return manifest


async def probe(manifest: Manifest) -> str | None:
    """Null when the program can run here, else the reason with what would fix it.

    Without a probe of its own, a program that exists is taken to run.
    """
    try:
        manifest.argv()
        argv = manifest.probe_argv()
    except NotInstalled as missing:
        return str(missing)
    return await _ask(manifest, argv) if argv else None


async def _ask(manifest: Manifest, argv: Sequence[str]) -> str | None:
    """Runs the probe: exit 0 is yes, else its last line of output is the reason."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), **manifest.passed(os.environ)}
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=manifest.folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return f"The probe of {manifest.name} gave no answer within {_PROBE_SECONDS:g} s."
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if process.returncode == 0:
        return None
    lines = said.decode("utf-8", "replace").split("\n")
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return reason[:_REASON_LENGTH] or f"The probe ended with exit code {process.returncode}."


def _faults(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from _command_faults("command", manifest, manifest.command)
    if manifest.probe is not None:
        yield from _command_faults("probe.command", manifest, manifest.probe.command)
    for name in manifest.params:
        yield from _param_faults(name, manifest.params_schema()["properties"][name])


def _command_faults(
    key: str, manifest: Manifest, command: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for place, word in enumerate(command):
        if not word or "\0" in word:
            yield key, f"word {place + 1} is empty or holds a NUL"
        if word.startswith(("/", "-")) or "://" in word:
            continue
        inside = os.path.normpath(manifest.folder / word)
        if "/" in word and not inside.startswith(f"{manifest.folder}{os.sep}"):
            yield key, f"{word!r} leads out of the runner's folder"
        elif _own_file(place, word) and not os.path.lexists(inside):
            yield key, f"{word!r} is not in the runner's folder"


def _own_file(place: int, word: str) -> bool:
    """Whether a word can only mean a file of the runner itself."""
    return word.endswith((".py", ".sh")) or (place == 0 and "/" in word)


def _param_faults(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    key = f"params.{name}"
    for reference in _references(schema):
        if not reference.startswith("#"):
            yield key, f"refers to {reference!r}; only references inside the schema are followed"
            return
    try:
        jsonschema_rs.meta.validate({"$schema": _DIALECT, **schema})
        validator = jsonschema_rs.validator_for(schema)
    except jsonschema_rs.ValidationError as error:
        place = ".".join(str(part) for part in error.instance_path)
        yield key, f"no JSON Schema: {place}: {error.message}" if place else error.message
        return
    except ValueError as error:
        yield key, f"no JSON Schema: {error}"
        return
    if "default" in schema and not validator.is_valid(schema["default"]):
        yield key, f"its default {schema['default']!r} does not fit its own schema"


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        table = cast(dict[str, object], schema)
        yield from (str(table[key]) for key in ("$ref", "$dynamicRef") if key in table)
        for value in table.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in cast(list[object], schema):
            yield from _references(value)


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
