"""``runner.toml``: what a program is, takes, gives and needs."""

import asyncio
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

import jsonschema_rs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Kind = Literal["model", "preview", "image", "video", "report", "data", "log"]
_PROBE_SECONDS: Final = 20.0
_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"


class ManifestError(Exception):
    """A manifest that can not be used; the message names the file, the key and the remedy."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Environment(_Table):
    """``python`` is an interpreter, or ``$VARIABLE`` that names one; ``pass`` lists variables of
    the platform that the program may see."""

    python: str | None = None
    pass_: tuple[str, ...] = Field((), alias="pass")


class InputSpec(_Table):
    media_types: tuple[str, ...] = ()
    required: bool = True
    many: bool = False


class OutputSpec(_Table):
    kind: Kind
    required: bool = True


class Resources(_Table):
    memory_bytes: int = Field(1024**3, gt=0)
    slots: int = Field(1, ge=1)
    gpu: int = Field(0, ge=0)


class Probe(_Table):
    command: tuple[str, ...] = Field(min_length=1)


class Manifest(_Table):
    """One runner folder. ``command`` is an argv; relative paths in it lie in the folder."""

    folder: Path
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,127}$")
    version: str = Field(min_length=1, max_length=64)
    task: str
    description: str
    license: str
    command: tuple[str, ...] = Field(min_length=1)
    mode: Literal["cold", "warm"] = "cold"
    shared: bool = False
    network: Literal["none", "loopback", "outbound"] = "none"
    timeout_seconds: float = Field(3600, ge=1)
    environment: Environment = Field(default_factory=lambda: Environment.model_validate({}))
    inputs: dict[str, InputSpec] = {}
    params: dict[str, dict[str, Any]] = {}
    outputs: dict[str, OutputSpec] = {}
    resources: Resources = Field(default_factory=lambda: Resources.model_validate({}))
    probe: Probe | None = None

    def python(self) -> str:
        """The interpreter that ``{python}`` stands for; empty when its variable is not set."""
        named = self.environment.python
        if named is None:
            return sys.executable
        return os.environ.get(named[1:], "") if named.startswith("$") else named

    def argv(self) -> list[str]:
        """The command with ``{python}`` and the folder's own files filled in."""
        return self._filled(self.command)

    def probe_argv(self) -> list[str] | None:
        return None if self.probe is None else self._filled(self.probe.command)

    def _filled(self, command: tuple[str, ...]) -> list[str]:
        return [self._word(word) for word in command]

    def _word(self, word: str) -> str:
        if word == "{python}":
            return self.python()
        own = self.folder / word
        return str(own) if own.is_file() else word

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of ``inputs``: ids of files or artifacts, by name."""
        properties: dict[str, Any] = {}
        for name, spec in self.inputs.items():
            one: dict[str, Any] = {"type": "string", "format": "uuid"}
            if spec.media_types:
                one["x-media-types"] = list(spec.media_types)
            properties[name] = {"type": "array", "items": one} if spec.many else one
        return _object(properties, [name for name, spec in self.inputs.items() if spec.required])

    def params_schema(self) -> dict[str, Any]:
        """JSON Schema of ``params``; a property's own ``required = true`` is lifted."""
        required = [name for name, schema in self.params.items() if schema.get("required") is True]
        properties = {
            name: {k: v for k, v in schema.items() if (k, v) != ("required", True)}
            for name, schema in self.params.items()
        }
        return _object(properties, required)


def load_manifest(folder: Path) -> Manifest:
    """Reads and checks ``runner.toml``; raises :class:`ManifestError`."""
    file = folder / "runner.toml"
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{file}: {error}") from None
    try:
        manifest = Manifest.model_validate({**told, "folder": folder.resolve()})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{file}: {key}: {first['msg']}") from None
    _check_params(file, manifest)
    _check_command(file, manifest)
    return manifest


async def probe(manifest: Manifest) -> str | None:
    """Null when the program can run here; else the reason, with what would fix it."""
    python = manifest.environment.python
    if python is not None and not manifest.python():
        return f"{python[1:]} is not set; set it to the program's Python interpreter."
    program = manifest.argv()[0]
    if shutil.which(program) is None:
        fix = f" Check {python[1:]}." if python and python.startswith("$") else " Install it."
        return f"The program {Path(program).name} was not found.{fix}"
    argv = manifest.probe_argv()
    return None if argv is None else await _run_probe(manifest, argv)


async def _run_probe(manifest: Manifest, argv: list[str]) -> str | None:
    passed = {name: os.environ[name] for name in manifest.environment.pass_ if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=manifest.folder,
        env={"PATH": os.environ.get("PATH", ""), **passed},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"Its probe did not answer within {_PROBE_SECONDS:g} s."
    if process.returncode == 0:
        return None
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else f"Its probe ended with {process.returncode}."


def _check_params(file: Path, manifest: Manifest) -> None:
    schema = manifest.params_schema()
    try:
        jsonschema_rs.meta.validate({"$schema": _SCHEMA, **schema})
        validator = jsonschema_rs.validator_for(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise ManifestError(f"{file}: params: {error}") from None
    defaults = {n: s["default"] for n, s in schema["properties"].items() if "default" in s}
    for name, default in defaults.items():
        if name not in schema["required"] and not validator.is_valid({name: default}):
            raise ManifestError(f"{file}: params.{name}: its default breaks its own schema")


def _check_command(file: Path, manifest: Manifest) -> None:
    for word in manifest.command:
        inside = (manifest.folder / word).resolve()
        if "/" in word and not word.startswith("/") and not inside.is_relative_to(manifest.folder):
            raise ManifestError(f"{file}: command: {word} leaves the folder")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
