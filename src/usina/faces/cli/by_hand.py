"""One run of a program without a platform: shown, its log passed on, its artifacts copied."""

import asyncio
import codecs
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.faces.cli.board import Board, board
from usina.faces.cli.failure import CommandError, ExitCode
from usina.faces.cli.loop import finish
from usina.faces.cli.output import Data, json_wanted, say, show, show_json
from usina.kernel.files.sniff import sniff
from usina.kernel.runners.assignment import Listener
from usina.kernel.runners.bench import Played, Request, bench
from usina.kernel.runners.gate import Gate, Value, judge
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.outcome import Failure
from usina.kernel.runners.work import Output
from usina.kernel.storage.digest import Digest

_LOG: Final = "log.txt"
_BLOCK: Final = 1024**2
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run; ``out`` is null for a folder named after the run."""

    manifest: Manifest
    request: Request
    out: Path | None
    timeout_seconds: float | None
    environment: Mapping[str, str]
    devices: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        return self.out or Path(f"{self.manifest.name}-{self.request.id}")


@dataclass(frozen=True, slots=True)
class _Kept:
    """An artifact as a file of the folder."""

    path: Path
    name: str
    kind: str
    digest: Digest


def perform(order: Order) -> None:
    """Prints the artifacts' paths, or with --json the whole run; raises CommandError for a
    failure of the program."""
    played, kept = finish(_perform(order))
    if json_wanted():
        show_json(_as_job(order, played, kept))
    if played.failure is not None:
        raise CommandError(
            _told(played.failure), code=played.failure.code, exit_code=ExitCode.JOB_FAILED
        )
    for gate in _gates(order, played):
        if not gate.ok:
            say(f"Gate {gate.name}: {gate.message}")
    if not json_wanted():
        show(*(str(each.path) for each in kept))


async def _perform(order: Order) -> tuple[Played, Sequence[_Kept]]:
    with board() as shown:
        async with bench(order.environment, devices=order.devices) as ground:
            listener = _Show(shown, order.manifest.name, ground.root / _LOG)
            played = await ground.play(
                order.manifest, order.request, listener, timeout_seconds=order.timeout_seconds
            )
            listener.close()
            if played.failure is not None:
                return played, ()
            kept = await asyncio.to_thread(_keep, order.folder, played.outputs, listener.path)
            listener.row.show("done", 1.0)
            return played, kept


class _Show(Listener):
    """Shows the run on the board and writes its log down beside the work folder."""

    def __init__(self, shown: Board, title: str, path: Path) -> None:
        self.path = path
        self.row = shown.row(title)
        self.row.show("running", 0.0)
        self._board = shown
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._file = path.open("wb")

    def progress(self, fraction: float, stage: str | None) -> None:
        self.row.show(stage or "running", fraction)

    def metric(self, name: str, value: Value) -> None:
        """The outcome has them all."""

    def log(self, data: bytes) -> None:
        self._file.write(data)
        lines, newline, self._rest = (self._rest + self._decoder.decode(data)).rpartition("\n")
        if newline:
            self._board.write(lines + newline)

    def checkpoint(self, name: str, descriptor: int) -> None:
        """A run by hand has no second attempt."""
        os.close(descriptor)

    def close(self) -> None:
        self._file.close()
        if self._rest:
            self._board.write(self._rest + "\n")


def _keep(folder: Path, outputs: Sequence[Output], log: Path) -> list[_Kept]:
    """Copies the artifacts into the folder, and the log where there is one, as the platform's."""
    folder.mkdir(parents=True, exist_ok=True)
    every = list(outputs)
    if log.stat().st_size and all(output.name != _LOG for output in outputs):
        every.append(Output(log, _LOG, "log", log.stat().st_size))
    return [_copied(output, folder / output.name) for output in every]


def _copied(output: Output, target: Path) -> _Kept:
    digest = Digest()
    with os.fdopen(os.open(output.path, _READ), "rb") as source, target.open("wb") as copy:
        while block := source.read(_BLOCK):
            digest.update(block)
            copy.write(block)
    return _Kept(target, output.name, output.kind, digest)


def _as_job(order: Order, played: Played, kept: Sequence[_Kept]) -> dict[str, Data]:
    """In the words of a job of the platform, as far as there is one."""
    failure = played.failure
    error: Data = None
    if failure is not None:
        error = {"code": failure.code, "reason": failure.reason, "message": failure.message}
    return {
        "id": order.request.id,
        "model": order.manifest.name,
        "model_version": order.manifest.version,
        "status": "SUCCEEDED" if failure is None else "FAILED",
        "params": dict(order.request.params),
        "inputs": {
            name: [str(file.path) for file in files] for name, files in order.request.inputs.items()
        },
        "error": error,
        "artifacts": [
            {
                "kind": each.kind,
                "name": each.name,
                "media_type": sniff(each.digest.head, each.digest.size_bytes, name=each.name),
                "size_bytes": each.digest.size_bytes,
                "sha256": each.digest.sha256,
            }
            for each in kept
        ],
        "gates": [gate.as_json() for gate in _gates(order, played)],
        "metrics": {
            "run_seconds": round(played.seconds, 3),
            "peak_memory_bytes": played.outcome.peak_memory_bytes,
        },
        "files": [str(each.path) for each in kept],
    }


def _gates(order: Order, played: Played) -> Sequence[Gate]:
    """Judged once it has ended well, as of a job."""
    return () if played.failure else judge(order.manifest.gates, played.outcome.metrics)


def _told(failure: Failure) -> str:
    reason = f" ({failure.reason})" if failure.reason else ""
    return f"{failure.code}{reason}: {failure.message}"
