"""Holds memory of its GPU as the stand-in of the driver's tool sees it, and fails as torch does."""

import json
import os
import time
from pathlib import Path

import usina_runner

TORCH = (
    "CUDA out of memory. Tried to allocate {need:.2f} GiB. GPU 0 has a total capacity of {size:.2f}"
    " GiB of which {size:.2f} GiB is free. Including non-PyTorch memory, this process has 0 bytes "
    "memory in use."
)


def main(job: usina_runner.Job) -> None:
    device = os.environ["CUDA_VISIBLE_DEVICES"]
    if job.params["begin"] == "never":
        raise RuntimeError("CUDA driver initialization failed, you might not have a CUDA gpu.")
    need, size = job.params["mib"], json.loads(os.environ["USINA_TEST_CARDS"])[device]
    if need > size:
        raise RuntimeError(TORCH.format(need=need / 1024, size=size / 1024))
    with Path(f"vram-{need}").open("w"):
        job.progress(0.5, "holding")
        until = Path(os.environ["USINA_TEST_SEEN"])
        while job.params["hold"] and not until.exists():
            job.sleep(0.02)
        time.sleep(0)
    job.report({"device": device})


usina_runner.run(main)
