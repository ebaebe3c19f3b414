"""What another attempt goes on from: the mesh, the latest whole fields, and how far it was.

One archive without compression: it has to be written within the second or two that a cancelled
program has.
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from usina.apps.cfd.foam.log import History

_STATE: Final = "state.json"


@dataclass(slots=True)
class State:
    """``mark`` says of which bed and parameters; ``parts`` in how many the case is cut; ``done``
    holds what was found for the velocities that are finished; ``start`` is the iteration that the
    current one began at; ``mesh`` what ``checkMesh`` said; ``source`` the job that made the mesh,
    as the report tells it; ``version`` is OpenFOAM's."""

    mark: str
    parts: int
    mesh: dict[str, Any]
    source: dict[str, Any]
    version: str
    done: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    start: int = 0
    history: History = field(default_factory=History)


def parts_of(folder: Path, parts: int) -> list[Path]:
    """The folders that hold the times of a case."""
    if parts == 1:
        return [folder]
    return [folder / f"processor{number}" for number in range(parts)]


def times(folder: Path, parts: int) -> list[int]:
    """The iterations that every part has fields of, rising."""
    kept: list[set[int]] = [
        {int(path.name) for path in part.iterdir() if path.name.isdecimal() and _whole(path)}
        for part in parts_of(folder, parts)
    ]
    return sorted(kept[0].intersection(*kept[1:]))


def pack(target: Path, folder: Path, state: State, time: int) -> None:
    """Writes the archive of a case with the fields of iteration ``time``; under a fresh name first,
    so that ``target`` is whole as soon as it is there."""
    fresh = target.with_suffix(".part")
    with tarfile.open(fresh, "w") as archive:
        for path in _kept(folder, state.parts, time):
            archive.add(path, str(path.relative_to(folder)))
        told = {
            "mark": state.mark,
            "parts": state.parts,
            "mesh": state.mesh,
            "source": state.source,
            "version": state.version,
            "done": state.done,
            "start": state.start,
            "history": state.history.as_json(time),
        }
        (folder / _STATE).write_text(json.dumps(told), "ascii")
        archive.add(folder / _STATE, _STATE)
    fresh.replace(target)


def unpack(archive: Path, folder: Path, mark: str) -> State | None:
    """Puts a case back; null when the archive is of another bed or other parameters, or broken."""
    try:
        with tarfile.open(archive, "r") as opened:
            opened.extractall(folder, filter="data")
        told = json.loads((folder / _STATE).read_bytes())
        if told["mark"] != mark:
            return None
        history = History(**told.pop("history"))
        return State(history=history, **told)
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError):
        return None


def _kept(folder: Path, parts: int, time: int) -> Iterator[Path]:
    yield folder / "system"
    yield folder / "constant"
    yield folder / "0.orig"
    yield folder / "0"
    for part in parts_of(folder, parts):
        if parts > 1:
            yield part / "constant"
            yield part / "0"
        if time > 0:
            yield part / str(time)


def _whole(time: Path) -> bool:
    return (time / "U").is_file() and (time / "p").is_file()
