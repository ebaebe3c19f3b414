"""A runner folder for a server: made once from what it says of itself, kept while it is away."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from usina.apps.cog import toml
from usina.apps.cog.schema import Signature, signature_of
from usina.apps.cog.server import Server
from usina.apps.cog.spec import FILE_NAME, Spec
from usina.kernel.runners.manifest import FILE_NAME as MANIFEST
from usina.kernel.runners.manifest import Manifest, load_manifest

_PROBE_EVERY_SECONDS: Final = 10
_SCHEMA: Final = "openapi.json"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the server does not say of its model; ``at_once`` is how many predictions it makes
    beside each other."""

    name: str
    url: str
    task: str = "prediction"
    description: str | None = None
    license: str = "told by whoever serves it"
    at_once: int = 1
    timeout_seconds: float = 3600
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """``before`` is the version of the schema that was kept until now, null for a new folder."""

    folder: Path
    manifest: Manifest
    signature: Signature
    before: str | None


def add(wish: Wish, below: Path) -> Added:
    """Asks the server and writes ``below/NAME``, in place of what was there of it.

    Raises `usina_runner.Failure` where it does not answer as a Cog server does, `UnknownSchema`
    where its model can not be asked for here, and `ManifestError` for a name that is none.
    """
    openapi = Server(wish.url).openapi()
    signature = signature_of(openapi)
    folder = below / wish.name
    before = _kept(folder)
    below.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=below, prefix=".cog-") as made:
        fresh = Path(made, "new")
        fresh.mkdir(0o755)
        (fresh / MANIFEST).write_text(toml.written(_tables(wish, signature)), "utf-8")
        (fresh / _SCHEMA).write_text(json.dumps(openapi, indent=1) + "\n", "utf-8")
        _spec(wish, signature).write(fresh / FILE_NAME)
        load_manifest(fresh)
        _put(fresh, folder, Path(made, "old"))
    return Added(folder, load_manifest(folder), signature, before)


def _kept(folder: Path) -> str | None:
    """The version of what is there; raises `FileExistsError` for a folder of another kind."""
    if not folder.exists():
        return None
    if not (folder / FILE_NAME).is_file():
        raise FileExistsError(folder)
    return Spec.read(folder / FILE_NAME).version


def _put(fresh: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _spec(wish: Wish, signature: Signature) -> Spec:
    return Spec(
        url=wish.url.rstrip("/"),
        version=signature.version,
        names=dict(signature.names),
        many=signature.many,
        files=signature.files,
        joined=signature.joined,
        callback=wish.callback,
    )


def _tables(wish: Wish, signature: Signature) -> dict[str, Any]:
    module = ["{python}", "-m"]
    return {
        "name": wish.name,
        "version": signature.version,
        "task": wish.task,
        "description": wish.description or "A model behind a Cog server.",
        "license": wish.license,
        "command": [*module, "usina.apps.cog.predict", FILE_NAME],
        "mode": "warm",
        "shared": True,
        "network": "outbound",
        "timeout_seconds": wish.timeout_seconds,
        "inputs": signature.inputs,
        "params": signature.params,
        "outputs": {"report.json": {"kind": "report"}},
        "resources": {"memory_bytes": 512 * 1024**2, "at_once": wish.at_once},
        "probe": {
            "command": [*module, "usina.apps.cog.probe", FILE_NAME],
            "every_seconds": _PROBE_EVERY_SECONDS,
        },
    }
