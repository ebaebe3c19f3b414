"""The witness: what it writes down is what has happened, whatever the platform says."""

import contextlib
import json
import os
import time

import usina_runner

_FOLDER = os.environ["USINA_WITNESS"]


def main(job: usina_runner.Job) -> None:
    witness(job, "begin")
    misbehave(job)
    steps = job.params["steps"]
    for step in range(steps):
        job.sleep(job.params["seconds"] / steps)
        job.progress((step + 1) / steps, f"step {step + 1}")
        saved = job.outputs / f"state-{step + 1}"
        saved.write_text(str(step + 1))
        job.checkpoint_saved(saved)
    if not steps:
        job.sleep(job.params["seconds"])
    for number in range(job.params["artifacts"]):
        path = job.outputs / f"part-{number}.bin"
        path.write_bytes(os.urandom(job.params["artifact_bytes"]))
        job.artifact(path, "data")
    job.report({"attempt": job.attempt})
    witness(job, "end")


def witness(job: usina_runner.Job, what: str) -> None:
    """One line, appended in one write and synced: a kill leaves all of it or nothing."""
    mark = {"job": job.id, "attempt": job.attempt, "pid": os.getpid(), "what": what}
    line = json.dumps(mark | {"at": time.monotonic()}).encode() + b"\n"
    descriptor = os.open(f"{_FOLDER}/marks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line)
    os.fsync(descriptor)
    os.close(descriptor)


def misbehave(job: usina_runner.Job) -> None:
    misdeed = job.params["misdeed"]
    if misdeed == "crash":
        os.abort()
    if misdeed == "fail":
        raise usina_runner.Failure("invalid_input", "asked_for", "It fails as it was asked to.")
    if misdeed == "binary":
        os.write(1, bytes(range(256)) * 64)
        with contextlib.suppress(OSError):
            os.write(3, b"\xff\xfe\x00 no message \x80\n")
    while misdeed == "hang":
        time.sleep(60)


usina_runner.run(main)
