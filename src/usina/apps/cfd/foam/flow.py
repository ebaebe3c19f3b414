"""A job of ``bed-flow-openfoam`` from its bed to its report."""

import errno
import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Final

from usina.apps.cfd.foam.case import SURFACE, write_case
from usina.apps.cfd.foam.checkpoint import State, parts_of, times, unpack
from usina.apps.cfd.foam.delivery import PLANE, Flowed, deliver
from usina.apps.cfd.foam.field import Cells, read_cells, read_pressure, slope_of
from usina.apps.cfd.foam.installation import NotInstalled, find_installation
from usina.apps.cfd.foam.layout import Layout, lay_out
from usina.apps.cfd.foam.log import MeshQuality, read_version
from usina.apps.cfd.foam.mesh import make_mesh, parts_for
from usina.apps.cfd.foam.option import Option, read_option
from usina.apps.cfd.foam.outcome import refer, tell
from usina.apps.cfd.foam.render import NotDrawn, Order, render
from usina.apps.cfd.foam.solver import Solver
from usina.apps.cfd.foam.workshop import Workshop, plain_path
from usina.apps.cfd.particles import Particles, read_particles
from usina.apps.cfd.surface import write_stl
from usina_runner import Failure, Job

_MESHED: Final = 0.25
_SOLVED: Final = 0.9
_CASE: Final = "case"


def flow_through(job: Job) -> None:
    """Reads the bed, meshes it, solves velocity after velocity and delivers."""
    option = read_option(job.params)
    with job.stage("bed", upto=0.01):
        particles = read_particles(job.inputs["bed"][0])
        layout = lay_out(particles, option)
    folder = job.outputs.parent / _CASE
    folder.mkdir()
    try:
        with plain_path(folder) as path:
            _work(job, _shop(job, path, option), layout, particles, option)
    except OSError as error:
        raise _full(error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _work(job: Job, shop: Workshop, layout: Layout, particles: Particles, option: Option) -> None:
    state: State | None = None
    try:
        state = _resumed(job, shop, option) or _meshed(job, shop, layout, particles, option)
        _solve(job, shop, state, layout, particles, option)
        warnings = _draw(job, shop, state, layout, option)
        deliver(job, shop, Flowed(particles, layout, option, state, warnings))
    except Failure as failure:
        job.log("error", failure.message)
        if state is not None and (table := state.history.table()):
            job.log("error", f"Residuals:\n{table}")
        raise


def _shop(job: Job, folder: Path, option: Option) -> Workshop:
    try:
        installation = find_installation()
    except NotInstalled as missing:
        raise Failure("unavailable", "model_not_installed", str(missing)) from None
    return Workshop(folder, installation, option.silence_seconds, job.check_cancelled)


def _resumed(job: Job, shop: Workshop, option: Option) -> State | None:
    """What an earlier attempt left, ready to be gone on with."""
    if job.checkpoint is None:
        return None
    with job.stage("resuming", upto=_MESHED):
        state = unpack(job.checkpoint, shop.folder, _mark(job, option))
        if state is None:
            job.log("warning", "The checkpoint is of no use here; this attempt begins anew.")
            _empty(shop.folder)
            return None
        latest = times(shop.folder, state.parts)[-1]
        job.log("info", f"Going on from iteration {latest}, {len(state.done)} velocities done.")
    return state


def _meshed(
    job: Job, shop: Workshop, layout: Layout, particles: Particles, option: Option
) -> State:
    with job.stage("meshing", upto=_MESHED):
        write_case(shop.folder, layout, option.fluid, option.velocity_m_s[0])
        surface = shop.folder / "constant" / "triSurface" / SURFACE
        write_stl(surface, particles, shrink=option.mesh.shrink)
        parts = parts_for(layout, job.cores)
        job.log("info", f"Meshing some {layout.estimated_cells} cells, solving in {parts} part(s).")
        began = job.fraction
        quality = make_mesh(
            shop, parts, tell=lambda share: job.progress(began + share * (_MESHED - began))
        )
        job.metric("cells", quality.cells)
        job.metric("cells_per_diameter", layout.cells_per_diameter)
    version = read_version(shop.log_of("checkMesh").read_text("utf-8", "replace"))
    return State(_mark(job, option), parts, quality.as_json(), version)


def _solve(
    job: Job,
    shop: Workshop,
    state: State,
    layout: Layout,
    particles: Particles,
    option: Option,
) -> None:
    solver = Solver(job, shop, option, state, (_MESHED, _SOLVED))
    places = parts_of(shop.folder, state.parts)
    cells: Cells | None = None
    for number in range(len(state.done), len(option.velocity_m_s)):
        with job.stage(f"solving velocity {number + 1} of {len(option.velocity_m_s)}"):
            monitor = solver.solve(number)
        cells = cells or read_cells([place / "0" for place in places])
        latest = times(shop.folder, state.parts)[-1]
        pressure = read_pressure([place / str(latest) for place in places])
        velocity = option.velocity_m_s[number]
        row = tell(
            layout,
            option.fluid,
            velocity,
            refer(particles.shape, layout, option.fluid, velocity),
            MeshQuality(**state.mesh),
            slope_of(cells, pressure, layout, option.fluid.density_kg_m3),
            monitor,
            latest - state.start,
        )
        state.done.append(row)
        state.start = latest
        job.log(
            "info",
            f"{velocity:g} m/s: {row['pressure_drop_pa']:.4g} Pa, core "
            f"{row['pressure_gradient_pa_m']:.4g} Pa/m after {row['iterations']} iterations",
        )
        solver.keep(latest)
    job.progress(_SOLVED)


def _draw(job: Job, shop: Workshop, state: State, layout: Layout, option: Option) -> list[str]:
    """Fields and pictures of the last velocity; the warnings that come of it."""
    with job.stage("fields", upto=0.92):
        if state.parts > 1:
            shop.run("reconstructPar", "-latestTime", "-fields", "(p U)", reason="export_failed")
            for part in parts_of(shop.folder, state.parts):
                shutil.rmtree(part)
        shop.run(
            "foamToVTK", "-latestTime", "-fields", "(p U)", "-no-boundary", reason="export_failed"
        )
    [grid] = (shop.folder / "VTK").glob("*/internal.vtu")
    order = Order(
        grid=str(grid),
        surface=str(shop.folder / "constant" / "triSurface" / SURFACE),
        outputs=str(job.outputs),
        plane=str(shop.folder / PLANE),
        density=option.fluid.density_kg_m3,
        radius=layout.radius_m,
        low=layout.low_m,
        high=layout.high_m,
        bed_high=layout.top_m,
    )
    with job.stage("pictures", upto=0.96):
        try:
            render(order, job.check_cancelled)
        except NotDrawn as why:
            job.log("warning", str(why))
            return [f"Not every picture could be drawn on this machine: {why}"]
    return []


def _mark(job: Job, option: Option) -> str:
    """A checkpoint is of use to the same bed, the same parameters and the same program."""
    digest = hashlib.sha256(job.inputs["bed"][0].read_bytes())
    digest.update(json.dumps([asdict(option), job.model_version], sort_keys=True).encode())
    return digest.hexdigest()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _full(error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        words = "There is no room left on the disk of this machine, or for this job."
        return Failure("runner_failed", "disk_full", words, False)
    raise error
