"""Spheres on a cubic grid; the table, a shape large enough to be an object, the report."""

import math
import struct
from itertools import product

import usina_runner

TRIANGLES = 100


def main(job: usina_runner.Job) -> None:
    params = job.params
    if params["seed"] == 13:
        raise usina_runner.InvalidInput("infeasible", "These spheres do not pack.")
    if params["seed"] == 7 and job.attempt == 1:
        job.sleep(60)
    size, count = params["particle_diameter_m"], params["particle_count"]
    reach = params["diameter_m"] / 2 - size / 2
    steps = int(reach / size)
    layer = [
        (i * size, j * size)
        for i, j in product(range(-steps, steps + 1), repeat=2)
        if math.hypot(i, j) * size <= reach
    ]
    rows = ["x_m,y_m,z_m,diameter_m"]
    for number in range(count):
        height, place = divmod(number, len(layer))
        x, y = layer[place]
        rows.append(f"{x!r},{y!r},{(height + 0.5) * size!r},{size!r}")
    (job.outputs / "particles.csv").write_text("\n".join(rows) + "\n")
    job.artifact("particles.csv", "data")
    shape = b"\0" * 80 + struct.pack("<I", TRIANGLES) + b"\0" * 50 * TRIANGLES
    (job.outputs / "bed.stl").write_bytes(shape)
    job.artifact("bed.stl", "model")
    layers = math.ceil(count / len(layer))
    room = math.pi / 4 * params["diameter_m"] ** 2 * layers * size
    porosity = 1 - count * math.pi / 6 * size**3 / room
    job.report({"porosity": porosity, "porosity_bulk": porosity, "particle_count": count})


usina_runner.run(main)
