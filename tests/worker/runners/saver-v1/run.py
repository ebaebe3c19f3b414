import signal
import time

import usina_runner


def main(job: usina_runner.Job) -> None:
    answer = job.params["answer"]
    if job.attempt == 1:
        job.progress(0.5, "working")
        if answer == "ignore":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        work_until_told(job, answer)
    job.report({"saved": job.checkpoint.read_text() if job.checkpoint else None})


def work_until_told(job: usina_runner.Job, answer: str) -> None:
    try:
        job.sleep(60)
    except usina_runner.Cancelled:
        if answer == "finish":
            return
        state = job.outputs / "state.txt"
        state.write_text("all that was done")
        job.checkpoint_saved(state)
        raise


usina_runner.run(main)
