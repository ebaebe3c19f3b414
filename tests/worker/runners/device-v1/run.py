"""Holds its GPU for a moment."""

import os
import time
import uuid

import usina_runner

PROGRAM = str(uuid.uuid4())


def main(job: usina_runner.Job) -> None:
    began = time.monotonic()
    time.sleep(0.1)
    devices = os.environ["CUDA_VISIBLE_DEVICES"]
    job.report({"devices": devices, "began": began, "ended": time.monotonic(), "program": PROGRAM})


usina_runner.run(main)
