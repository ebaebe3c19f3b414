"""A zip of the mesh parameter."""

import json
import zipfile

import usina_runner


def main(job: usina_runner.Job) -> None:
    cells = job.params["mesh"]["cells_per_diameter"]
    if cells == 64:
        raise usina_runner.Failure("runner_failed", "mesh_failed", "A cell is inside out.", False)
    if cells == 63:
        job.sleep(60)
    with zipfile.ZipFile(job.outputs / "mesh.zip", "w") as archive:
        archive.writestr("mesh.json", json.dumps({"cells": cells, "made_by": job.id}))


usina_runner.run(main)
