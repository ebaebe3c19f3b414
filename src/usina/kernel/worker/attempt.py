"""One attempt of one job: prepare, run, collect, finish and clean."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.service import Artifacts, NewArtifact, OutputRefused
from usina.kernel.db.batch import Batch
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Problem, StorageFull, Unavailable
from usina.kernel.events.bus import Bus
from usina.kernel.failpoints import reach
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.log import log_name
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.ending import Ending, kept
from usina.kernel.jobs.store.source import Inputs, SourceMissing, sources_of
from usina.kernel.registry import Registry
from usina.kernel.runners.gate import Gate, judge
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.outcome import INTERRUPTED, Failure, Outcome
from usina.kernel.runners.pool import Assignment, RunnerPool, StopSignal
from usina.kernel.runners.stash import FolderStash
from usina.kernel.runners.work import BadOutput, WorkFolder, input_path
from usina.kernel.storage.full import is_full
from usina.kernel.storage.store import Store
from usina.kernel.telemetry import JOBS_FINISHED
from usina.kernel.tenancy.quota import Quotas
from usina.kernel.worker.checkpoint import Checkpoints
from usina.kernel.worker.gpu.cards import UNKNOWN_BYTES, Cards
from usina.kernel.worker.reporter import Reporter, Reports
from usina.kernel.worker.reuse import Reuse

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_TRIES: Final = 30
_FULL_DISK_SECONDS: Final = 2.0
_AWAY_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every attempt needs."""

    database: Database
    bus: Bus
    registry: Registry
    store: Store
    artifacts: Artifacts
    pool: RunnerPool
    endings: Batch[Ending, Status | None]
    folders: FolderStash
    cores: int
    """Of one slot."""

    quotas: Quotas
    cards: Cards
    reuse: Reuse

    def cores_of(self, manifest: Manifest) -> int:
        """For a program: those of every slot that it takes, at most the machine's."""
        return min(self.cores * manifest.resources.slots, os.cpu_count() or 1)


class Attempt:
    """An attempt in progress. ``stop`` asks its program to end, ``interrupt`` does so too and
    leaves the job to be handed back."""

    def __init__(
        self,
        workshop: Workshop,
        claimed: Claimed,
        reports: Reports,
        devices: tuple[str, ...] = (),
    ) -> None:
        self.claimed = claimed
        self.devices = devices
        """The GPUs that are lent to it."""
        self.stop = StopSignal()
        self.ended = False
        """The program is gone; what is left is storing and writing."""
        self.interrupted = False
        """It ended without a verdict: the job is to be handed back."""
        self.unavailable = False
        """What its model needs was not there."""
        self._peak_gpu_bytes: int | None = None
        self._shop = workshop
        self._reports = reports
        self._checkpoints = Checkpoints(
            workshop.database, workshop.store, claimed.job, claimed.lease
        )
        self._work: WorkFolder | None = None
        self._reporter: Reporter | None = None
        self._recipe: str | None = None

    @property
    def job(self) -> Job:
        return self.claimed.job

    def interrupt(self) -> None:
        """The worker stops: what the program saves meanwhile is kept, as long as the lease stands.
        A result that comes all the same counts."""
        self.stop.request(INTERRUPTED)

    async def go(self, free_slot: Callable[[], None]) -> Status | None:
        """Takes the job to its next state, whatever its program does.

        The slot is free once the program has ended. Returns the state that was written, or null
        when none was: the lease was lost, or the attempt interrupted. Cancelling the task kills
        the program and writes nothing.
        """
        try:
            ending = await self._work_out(free_slot)
            return None if ending is None else await self._finish(ending)
        finally:
            await self._clean()

    async def _work_out(self, free_slot: Callable[[], None]) -> Ending | None:
        try:
            try:
                if (known := await self._known()) is not None:
                    return known
                outcome = await self._execute()
            finally:
                self.ended = True
                free_slot()
            if outcome.failure is INTERRUPTED:
                return await self._leave_off()
            return await self._collect(outcome)
        except Exception as error:
            _log.exception("attempt broke", job_id=self.job.id)
            return Ending(self.claimed.lease, _broken(error))

    async def _known(self) -> Ending | None:
        """The success of a job that takes an earlier result, where there is one."""
        if not self.job.reuse or self.stop.why is not None:
            return None
        try:
            inputs = await self._sources()
            self._recipe = await self._shop.reuse.recipe(self.job, self._manifest(), inputs)
        except (SourceMissing, Problem):
            return None
        if self._recipe is None:
            return None
        return await self._shop.reuse.ending(self.claimed, self._recipe)

    async def _execute(self) -> Outcome:
        manifest = self._manifest()
        if self.stop.why is not None:
            return Outcome.failed(self.stop.why)
        if self.job.inputs:  # its program loads while they are brought
            owner, cores = self.job.organization_id, self._shop.cores_of(manifest)
            self._shop.pool.ahead(manifest, owner, cores, self.devices)
        try:
            self._work = await self._prepare(manifest)
        except SourceMissing as missing:
            return _failed("invalid_input", "input_missing", str(missing))
        except Problem as problem:
            return _failed("unavailable", problem.code, problem.detail)
        log_path = f"{self._shop.folders.root}/{self.job.id}-{self.job.attempt}.log"
        self._reporter = Reporter(
            self._reports,
            self._shop.bus,
            self.claimed.lease,
            log_path,
            self._checkpoints.keep,
        )
        reach("run.before_spawn")
        assignment = Assignment(
            manifest=manifest,
            work=self._work,
            organization_id=self.job.organization_id,
            timeout_seconds=self.job.timeout_seconds,
            cores=self._shop.cores_of(manifest),
            devices=self.devices,
        )
        return await self._run(assignment, self._reporter)

    async def _run(self, assignment: Assignment, reporter: Reporter) -> Outcome:
        """The program, with an eye on the GPUs that are lent to it."""
        pool, cards = self._shop.pool, self._shop.cards
        async with cards.watched(self.devices, lambda: pool.pids_on(self.devices)) as peak:
            outcome = await pool.run(assignment, reporter, self.stop)
        self._peak_gpu_bytes = peak.bytes
        cards.note(self.devices, outcome.failure)
        self.unavailable = outcome.failure is not None and outcome.failure.code == "unavailable"
        return outcome

    async def _prepare(self, manifest: Manifest) -> WorkFolder:
        """The private work folder with ``job.json`` and the inputs, their hashes checked."""
        job = self.job
        owner, cores = job.organization_id, self._shop.cores_of(manifest)
        home = self._shop.pool.next_home(manifest, owner, cores, self.devices)
        work = self._shop.folders.take(manifest, owner, home)
        self._work = work
        checkpoint = await self._checkpoints.bring(work)
        sources = await self._sources()
        self._recipe = await self._shop.reuse.recipe(job, manifest, sources)
        inputs = await self._bring_inputs(work, sources)
        work.write_job(
            {
                "id": job.id,
                "model": job.model,
                "model_version": manifest.version,
                "attempt": job.attempt,
                "params": job.params,
                "inputs": inputs,
                "checkpoint": checkpoint,
                "cores": self._shop.cores_of(manifest),
                **manifest.told(),
            }
        )
        return work

    async def _sources(self) -> Inputs:
        owner, inputs = self.job.organization_id, self.job.inputs
        if not inputs:
            return {}
        return await self._shop.database.read(
            lambda tx: sources_of(tx, owner, inputs), tenant=owner
        )

    async def _bring_inputs(self, work: WorkFolder, inputs: Inputs) -> Mapping[str, list[str]]:
        brought: dict[str, list[str]] = {}
        for name, files in inputs.items():
            for place, source in enumerate(files):
                target = input_path(name, place if len(files) > 1 else None, source.media_type)
                if source.content is not None:
                    (work.path / target).write_bytes(source.content)
                else:
                    await self._shop.store.fetch(source.key, work.path / target, source.sha256)
                brought.setdefault(name, []).append(target)
        return brought

    async def _leave_off(self) -> None:
        """The last checkpoint is kept before the lease is given up."""
        self.interrupted = True
        if self._reporter is not None:
            await self._reporter.close()

    async def _collect(self, outcome: Outcome) -> Ending:
        """Stores the outputs of a success, and the log in any case."""
        if self._reporter is not None:
            await self._reporter.close()
        error = _error_of(outcome.failure)
        gates = judge(self._manifest().gates, outcome.metrics) if error is None else ()
        if self.job.strict:
            error = error or _closed(gates)
        staged: Sequence[Artifact] = ()
        try:
            staged = await self._stage(outcome, error)
        except (BadOutput, OutputRefused) as bad:
            error = JobError.of("runner_failed", bad.reason, str(bad))
            staged = await self._stage(outcome, error)
        except Problem as problem:
            error = JobError.of("unavailable", problem.code, problem.detail)
        return Ending(
            self.claimed.lease,
            error,
            artifacts=tuple(staged),
            peak_memory_bytes=outcome.peak_memory_bytes,
            peak_gpu_memory_bytes=self._peak_gpu_bytes,
            gpu_memory_bytes=self._gpu_size(),
            sandbox=outcome.sandbox,
            stage=self._reporter.stage if self._reporter else None,
            gates=gates,
            metrics=outcome.metrics,
            recipe=self._recipe,
            log_kept=self._reporter is not None and self._reporter.chunks_written,
        )

    def _gpu_size(self) -> int | None:
        """Of the smallest GPU that it had; null where it had none, or nobody knows."""
        size = min(map(self._shop.cards.size, self.devices), default=UNKNOWN_BYTES)
        return None if size == UNKNOWN_BYTES else size

    async def _stage(self, outcome: Outcome, error: JobError | None) -> Sequence[Artifact]:
        if self._work is None:
            return ()
        new: list[NewArtifact] = []
        if error is None:
            manifest = self._manifest()
            new = [
                self._new_artifact(output.kind, output.name, output.path)
                for output in self._work.collect(manifest, outcome.outputs)
            ]
        if self._reporter is not None and self._reporter.log_bytes:
            name = log_name(self.job.attempt)
            new.append(self._new_artifact("log", name, Path(self._reporter.log_path)))
        return await self._shop.artifacts.stage(new) if new else ()

    def _manifest(self) -> Manifest:
        model = self._shop.registry.get(self.job.model)
        assert model is not None, "only jobs of models that can run here are claimed"
        return model.manifest

    def _new_artifact(self, kind: str, name: str, path: Path) -> NewArtifact:
        job = self.job
        below = path.parent if kind == "log" else self._outputs()
        return NewArtifact(job.organization_id, job.id, job.attempt, kind, name, path, below)

    def _outputs(self) -> Path:
        assert self._work is not None, "what was made lies in a work folder"
        return self._work.outputs

    async def _finish(self, ending: Ending) -> Status | None:
        status = await self._write(ending)
        reach("finish.after_commit")
        if status is not Status.SUCCEEDED:
            in_use = kept(status, ending) if status else ()
            await self._shop.artifacts.discard([a for a in ending.artifacts if a not in in_use])
        if status is not None and status.terminal:
            JOBS_FINISHED.labels(self.job.model, status.value).inc()
        if status is Status.SUCCEEDED:
            await self._checkpoints.drop()
        return status

    async def _write(self, ending: Ending) -> Status | None:
        """Tries again while the disk is full or the database away: the work is done and should not
        be lost for it. From a full disk its folder goes first, which may be what fills it.

        What may have been written is written again all the same: the lease of an attempt that has
        ended lets it through no second time.
        """
        for _ in range(_TRIES):
            try:
                return await self._shop.endings.add(ending)
            except Unavailable as trouble:
                if full := isinstance(trouble, StorageFull):
                    await self._clean()
                await asyncio.sleep(_FULL_DISK_SECONDS if full else _AWAY_SECONDS)
        return await self._shop.endings.add(ending)

    async def _clean(self) -> None:
        if self._reporter is not None:
            self._reporter.abandon()
            self._reporter.remove_log()
        if self._work is None:
            return
        work, self._work = self._work, None
        home = self._shop.pool.home_of(work)
        owner = self.job.organization_id
        over = self._shop.folders.give_back(self._manifest(), owner, work, home)
        if over is not None:
            await asyncio.to_thread(over.remove)


def _failed(code: str, reason: str | None, message: str) -> Outcome:
    return Outcome.failed(Failure(code, reason, message))


def _error_of(failure: Failure | None) -> JobError | None:
    if failure is None:
        return None
    return JobError.of(failure.code, failure.reason, failure.message, failure.retryable)


def _closed(gates: Sequence[Gate]) -> JobError | None:
    """The error of a job that asked to fail by its gates, if one of them is not passed."""
    for gate in gates:
        if not gate.ok:
            message = f"The gate {gate.name!r} is not passed. {gate.message}"
            return JobError.of("runner_failed", "gate_failed", message, retryable=False)
    return None


def _broken(error: Exception) -> JobError:
    if is_full(error):
        full = "The disk of the worker is full."
        return JobError.of("unavailable", StorageFull.code, full)
    return JobError.of(
        "internal", None, f"The platform failed while it ran the job ({type(error).__name__})."
    )
