"""What a runner program imports to speak with Usina: no dependencies, Python >= 3.8.

    import usina_runner

    def main(job):
        with job.stage("drawing", upto=0.9):
            (job.outputs / "picture.svg").write_text("<svg/>")
        job.artifact("picture.svg", "image")
        job.report({"shapes": 0})

    usina_runner.run(main)

The program starts in its work folder (``job.json``, ``inputs/``, ``outputs/``), writes JSON lines
to descriptor 3 and reads them from descriptor 4. Started by hand, without a platform, it reads
``job.json`` of the current folder and shows on stderr what it would say. This folder may be copied
beside a program that lives in an environment of its own.
"""

from usina_runner.failure import Cancelled, Failure, InvalidInput
from usina_runner.job import Job
from usina_runner.program import run

__all__ = ["Cancelled", "Failure", "InvalidInput", "Job", "run"]
