import os
from pathlib import Path

import usina_runner


def main(job: usina_runner.Job) -> None:
    began = int(job.checkpoint.read_text()) if job.checkpoint else 0
    stop_at = job.params["stop_at"]
    for step in range(began + 1, job.params["steps"] + 1):
        save(job, step)
        job.progress(step / job.params["steps"], f"step {step}")
        if step == stop_at and began < stop_at:
            end(job)
    (job.outputs / "path.txt").write_text(str(job.checkpoint))
    job.report({"began": began, "name": job.checkpoint.name if job.checkpoint else None})


def save(job: usina_runner.Job, step: int) -> None:
    fresh = job.outputs / f"state-{step}.txt"
    fresh.write_text(str(step))
    job.checkpoint_saved(fresh)


def end(job: usina_runner.Job) -> None:
    ending = job.params["ending"]
    if ending == "link":
        (job.outputs / "way").symlink_to("/etc")
        job.checkpoint_saved(Path("way/passwd"))
    if ending == "crash":
        job.sleep(0.5)
        os.abort()
    if ending == "wait":
        job.sleep(60)
    raise usina_runner.Failure("runner_failed", "stopped", "It stopped where it was told to.")


usina_runner.run(main)
