"""Slice, streamlines and a 3D picture of a flow, drawn as those of OpenFOAM are (`render`)."""

import shutil
from typing import Final

from usina.apps.cfd.lattice.answer import Solved
from usina.apps.cfd.lattice.question import Question
from usina.apps.cfd.particles import Particles
from usina.apps.cfd.render import NotDrawn, Order, render
from usina.apps.cfd.surface import write_stl
from usina_runner import Job

FILES: Final = {"slice.vtp": "data", "streamlines.vtp": "data", "streamlines.png": "image"}


def draw_streams(job: Job, found: Solved, question: Question) -> str | None:
    """Out of ``velocity.vti``, at the first velocity; why not every file could be made, if so."""
    piece = found.piece
    folder = job.outputs.parent / "drawing"
    folder.mkdir(exist_ok=True)
    reach = piece.particles.shape.diameter_m / 2
    surface = folder / "particles.stl"
    order = Order(
        grid=str(job.outputs / "velocity.vti"),
        surface=str(surface),
        outputs=str(job.outputs),
        radius=piece.tube_diameter_m / 2,
        low=piece.low_m - reach,
        high=piece.high_m + reach,
        bed_high=piece.high_m,
        bed_low=piece.low_m,
        velocity=question.velocities_m_s[0],
    )
    try:
        write_stl(surface, _in_piece(found), between=job.check_cancelled)
        render(order, job.check_cancelled)
    except NotDrawn as why:
        job.log("warning", str(why))
        return f"Not every picture could be drawn on this machine: {why}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for name, kind in FILES.items():
            if (job.outputs / name).is_file():
                job.artifact(name, kind)
    return None


def _in_piece(found: Solved) -> Particles:
    """Those whose centre lies in the part that was computed."""
    piece, particles = found.piece, found.piece.particles
    height = particles.centres[:, 2]
    inside = (height > piece.low_m) & (height < piece.high_m)
    return Particles(particles.shape, particles.centres[inside], particles.quaternions[inside])
