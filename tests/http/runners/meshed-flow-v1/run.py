"""Tells whose mesh it was given; 99 m/s diverges."""

import json
import zipfile

import usina_runner


def main(job: usina_runner.Job) -> None:
    if job.params["velocity_m_s"] == 99:
        raise usina_runner.Failure("runner_failed", "diverged", "The residuals grow.", False)
    with zipfile.ZipFile(job.inputs["mesh"][0]) as archive:
        told = json.loads(archive.read("mesh.json"))
    job.report({"results": [], "residuals": told})


usina_runner.run(main)
