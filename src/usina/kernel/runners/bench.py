"""A bench: a program run by hand as a worker would run it, without a platform."""

import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usina.kernel.errors import Invalid
from usina.kernel.files.sniff import sniff
from usina.kernel.ids import new_id
from usina.kernel.runners.assignment import Assignment, Listener, StopSignal
from usina.kernel.runners.form import Form, escaped
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.outcome import Failure, Outcome
from usina.kernel.runners.pool import RunnerPool
from usina.kernel.runners.work import BadOutput, Output, WorkFolder, input_path
from usina.kernel.storage.digest import HEAD_BYTES


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of this machine as an input; ``media_type`` is what its bytes say."""

    path: Path
    media_type: str

    @classmethod
    def of(cls, path: Path) -> "InputFile":
        """Looked at as an upload is: raises ``OSError``, and ``Invalid`` for an empty file."""
        with path.open("rb") as file:
            head, size = file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size
        if size == 0:
            raise Invalid(f"{path.name!r} is empty.", code="empty_file")
        return cls(path, sniff(head, size, name=path.name))


Inputs = Mapping[str, Sequence[InputFile]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a program is asked for; ``params`` have their defaults filled in."""

    params: Mapping[str, Any]
    inputs: Inputs = field(default_factory=dict[str, Sequence[InputFile]])
    attempt: int = 1
    id: str = field(default_factory=new_id)
    named: Callable[[str, int | None, str], str] = input_path
    """Where an input lies in the work folder, by its name, its place among many, its type."""

    @classmethod
    def checked(cls, form: Form, params: Mapping[str, Any], inputs: Inputs) -> "Request":
        """A request that the platform would take; raises ``Invalid`` with its pointers."""
        filled = form.fill(params)
        form.check_inputs(
            {
                name: [file.path.name for file in files] if len(files) != 1 else files[0].path.name
                for name, files in inputs.items()
            }
        )
        for name, files in inputs.items():
            for place, file in enumerate(files):
                pointer = f"/inputs/{escaped(name)}" + (f"/{place}" if len(files) > 1 else "")
                form.check_media_type(name, file.media_type, pointer)
        return cls(filled, inputs)


@dataclass(frozen=True, slots=True)
class Played:
    """One run at its end. ``outputs`` lie in the work folder, none after a failure."""

    request: Request
    outcome: Outcome
    failure: Failure | None
    outputs: tuple[Output, ...]
    seconds: float
    work: WorkFolder


class Bench:
    """A pool and a place for work folders below ``root``, which is made."""

    def __init__(
        self,
        root: Path,
        limits: RunnerLimits | None = None,
        environment: Mapping[str, str] | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        """``environment`` holds variables that a manifest may name besides the process's own;
        ``devices`` are GPUs, of which a run has as many as its manifest asks for."""
        self.root = root
        self.devices = tuple(devices)
        self.environment = environment
        self.pool = RunnerPool(limits=limits or RunnerLimits(), root=root, environment=environment)
        self._cores = os.cpu_count() or 1

    async def play(
        self,
        manifest: Manifest,
        request: Request,
        listener: Listener,
        stop: StopSignal | None = None,
        *,
        timeout_seconds: float | None = None,
        organization_id: str = "bench",
    ) -> Played:
        """Runs the program to its end. The work folder stays until it is removed.

        Cancelling the call kills the program's whole tree before it returns.
        """
        work = WorkFolder.create(self.root, request.id)
        work.write_job(
            {
                "id": request.id,
                "model": manifest.name,
                "model_version": manifest.version,
                "attempt": request.attempt,
                "params": dict(request.params),
                "inputs": _bring(work, request),
                "checkpoint": None,
                "cores": self._cores,
                **manifest.told(),
            }
        )
        seconds = manifest.timeout_seconds if timeout_seconds is None else timeout_seconds
        devices = self.devices[: manifest.resources.gpu]
        assignment = Assignment(manifest, work, organization_id, seconds, self._cores, devices)
        began = time.perf_counter()
        outcome = await self.pool.run(assignment, listener, stop or StopSignal())
        spent = time.perf_counter() - began
        failure, outputs = outcome.failure, ()
        if failure is None:
            try:
                outputs = tuple(work.collect(manifest, outcome.outputs))
            except BadOutput as bad:
                failure = Failure("runner_failed", bad.reason, str(bad))
        return Played(request, outcome, failure, outputs, spent, work)


@asynccontextmanager
async def bench(
    environment: Mapping[str, str] | None = None,
    *,
    name: str = "work",
    limits: RunnerLimits | None = None,
    devices: Sequence[str] = (),
) -> AsyncGenerator[Bench]:
    """A bench in a temporary folder; at its end every program is dead and the folder gone."""
    with tempfile.TemporaryDirectory(prefix="usina-", ignore_cleanup_errors=True) as folder:
        opened = Bench(Path(folder).resolve() / name, limits, environment, devices)
        opened.root.mkdir(0o700)
        try:
            yield opened
        finally:
            await opened.pool.close()
            for left in opened.root.iterdir():
                WorkFolder(left).remove()


def _bring(work: WorkFolder, request: Request) -> dict[str, list[str]]:
    """Copies the inputs into the work folder."""
    brought: dict[str, list[str]] = {}
    for name, files in request.inputs.items():
        for place, file in enumerate(files):
            target = request.named(name, place if len(files) > 1 else None, file.media_type)
            shutil.copyfile(file.path, work.path / target)
            brought.setdefault(name, []).append(target)
    return brought
