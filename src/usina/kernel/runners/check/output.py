"""What it makes: there, of the type that its name says, and told in its report."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from usina.kernel.files.sniff import sniff
from usina.kernel.runners.bench import Played
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.gate import judge
from usina.kernel.runners.work import Output
from usina.kernel.storage.digest import HEAD_BYTES

REPORT: Final = "report.json"
_MODEL: Final = ("model", "data", "preview")
_PICTURE: Final = ("image", "preview", "data", "report")
_FILM: Final = ("video", "preview", "data")
_PAGE: Final = ("report", "data")
_TABLE: Final = ("data", "report", "log")

FITTING: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "png": (("image/png",), _PICTURE),
    "jpg": (("image/jpeg",), _PICTURE),
    "jpeg": (("image/jpeg",), _PICTURE),
    "webp": (("image/webp",), _PICTURE),
    "gif": (("image/gif",), (*_PICTURE, "video")),
    "bmp": (("image/bmp",), _PICTURE),
    "svg": (("image/svg+xml",), _PICTURE),
    "mp4": (("video/mp4",), _FILM),
    "webm": (("video/webm",), _FILM),
    "glb": (("model/gltf-binary",), _MODEL),
    "gltf": (("model/gltf+json",), _MODEL),
    "stl": (("model/stl",), _MODEL),
    "ply": (("model/ply",), _MODEL),
    "obj": (("model/obj",), _MODEL),
    "zip": (("application/zip",), ("data", "model")),
    "json": (("application/json",), (*_TABLE, "model")),
    "ndjson": (("application/x-ndjson", "application/json"), _TABLE),
    "csv": (("text/csv", "application/json"), _TABLE),
    "pdf": (("application/pdf",), _PAGE),
    "html": (("text/html",), _PAGE),
}
"""By the ending of a name: the types that such bytes are found to be, and the kinds that fit."""


async def made(subject: Subject) -> str:
    act = await subject.first()
    empty = [output.name for output in act.played.outputs if output.size == 0]
    if empty:
        raise Broken(f"{', '.join(empty)}: there, but empty")
    if not act.played.outputs:
        raise Broken("it made nothing")
    return ", ".join(f"{output.name} {output.size} B" for output in act.played.outputs)


async def types(subject: Subject) -> str:
    faults: list[str] = []
    seen: list[str] = []
    for output in (await subject.first()).played.outputs:
        found = _type_of(output)
        seen.append(f"{output.name} {found}")
        fitting = FITTING.get(output.name.rpartition(".")[2].lower())
        if fitting is None:
            continue
        if found not in fitting[0]:
            faults.append(f"{output.name} is {found} by its bytes")
        if output.kind not in fitting[1]:
            faults.append(f"{output.name} was declared as {output.kind}")
        declared = subject.manifest.outputs.get(output.name)
        if declared is not None and declared.kind != output.kind:
            faults.append(
                f"{output.name} is {declared.kind} in the manifest and {output.kind} by the program"
            )
    if faults:
        raise Broken("; ".join(faults))
    return ", ".join(seen)


async def report(subject: Subject) -> str:
    act = await subject.first()
    if REPORT not in subject.manifest.outputs:
        raise Unchecked(f"{REPORT} is not among its outputs")
    told = read_report(act.played)
    if told is None:
        raise Broken(f"{REPORT} is no JSON object")
    faults = list(_report_faults(subject, act.played, told))
    if faults:
        raise Broken("; ".join(faults))
    return f"{len(told)} keys"


def _report_faults(subject: Subject, played: Played, told: Mapping[str, Any]) -> list[str]:
    wanted: dict[str, object] = {
        "model": subject.manifest.name,
        "model_version": subject.manifest.version,
        "params": dict(played.request.params),
    }
    faults = [
        f"{key} is missing" if key not in told else f"{key} is not what the job says"
        for key, value in wanted.items()
        if told.get(key) != value
    ]
    if not isinstance(told.get("seconds"), dict):
        faults.append("seconds has to be an object of stages")
    hashes = {_sha256(file.path) for files in played.request.inputs.values() for file in files}
    if not hashes <= set(_words(told.get("inputs"))):
        faults.append("inputs has to hold the SHA-256 of every input")
    return faults


def read_report(played: Played) -> dict[str, Any] | None:
    """``report.json`` of a run; null where there is none or it is no object."""
    for output in played.outputs:
        if output.name == REPORT:
            try:
                told: object = json.loads(output.path.read_bytes())
            except ValueError:
                return None
            return cast("dict[str, Any]", told) if isinstance(told, dict) else None
    return None


async def gates(subject: Subject) -> str:
    await subject.first()
    if not subject.manifest.gates:
        raise Unchecked("it declares none")
    faults: list[str] = []
    for case in subject.cases:
        act = await subject.example(case)
        judged = judge(subject.manifest.gates, act.played.outcome.metrics)
        closed = [f"{gate.name}: {gate.message}" for gate in judged if not gate.ok]
        if not closed:
            return ", ".join(f"{gate.name} {gate.value}" for gate in judged)
        faults += [f"{case.name}: {words}" for words in closed]
    raise Broken("; ".join(faults))


def fingerprint(played: Played, exact: bool) -> dict[str, str]:
    """By the name of an output: its kind, and where it counts the hash of its bytes. The seconds of
    a report are no result."""
    found: dict[str, str] = {}
    for output in played.outputs:
        found[output.name] = output.kind
        if exact:
            told = read_report(played) if output.name == REPORT else None
            if told is None:
                with output.path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256")
            else:
                told.pop("seconds", None)
                digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
            found[output.name] += f" {digest.hexdigest()}"
    return found


def _words(value: object) -> list[str]:
    """Every text in a value of JSON."""
    match value:
        case str():
            return [value]
        case dict():
            return [
                word for each in cast("dict[str, object]", value).values() for word in _words(each)
            ]
        case list():
            return [word for each in cast("list[object]", value) for word in _words(each)]
        case _:
            return []


def _type_of(output: Output) -> str:
    with output.path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES), output.size, name=output.name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


CHECKS: Final = (
    Check("outputs-made", "It makes what it declares, and none of it is empty.", made),
    Check("output-types", "What it makes is, by its bytes, what its name and kind say.", types),
    Check(
        "report",
        "Its report.json says the model, the parameters, the inputs' hashes and the seconds.",
        report,
    ),
    Check("gates", "An example of it passes the gates that it declares.", gates),
)
