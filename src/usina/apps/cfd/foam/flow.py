"""A job of ``bed-flow-openfoam`` from its bed to its report."""

import hashlib
import json
import shutil
from dataclasses import asdict
from typing import Final

from usina.apps.cfd.foam.case import SURFACE
from usina.apps.cfd.foam.checkpoint import State, parts_of, times, unpack
from usina.apps.cfd.foam.delivery import PLANE, Flowed, deliver
from usina.apps.cfd.foam.field import Cells, read_cells, read_pressure, slope_of
from usina.apps.cfd.foam.layout import lay_out
from usina.apps.cfd.foam.log import MeshQuality
from usina.apps.cfd.foam.meshing import MESHED, Wanted, begin
from usina.apps.cfd.foam.option import Option, read_option
from usina.apps.cfd.foam.outcome import refer, tell, worst
from usina.apps.cfd.foam.solver import Solver
from usina.apps.cfd.foam.text_plot import draw_residuals
from usina.apps.cfd.foam.workshop import Workshop, working
from usina.apps.cfd.particles import read_particles
from usina.apps.cfd.render import NotDrawn, Order, render
from usina_runner import Failure, Job

_SOLVED: Final = 0.9


def flow_through(job: Job) -> None:
    """Reads the bed, meshes it or takes its mesh, solves velocity after velocity and delivers."""
    option = read_option(job.params)
    with job.stage("bed", upto=0.01):
        particles = read_particles(job.inputs["bed"][0])
        layout = lay_out(particles, option)
    with working(job, option.silence_seconds) as shop:
        _work(job, shop, Wanted(job.inputs["bed"][0], particles, layout, option))


def _work(job: Job, shop: Workshop, wanted: Wanted) -> None:
    state: State | None = None
    try:
        state = _resumed(job, shop, wanted.option)
        state = state or begin(job, shop, wanted, _mark(job, wanted.option))
        _solve(job, shop, state, wanted)
        warnings = _draw(job, shop, state, wanted)
        deliver(job, shop, Flowed(wanted, state, warnings))
    except Failure as failure:
        job.log("error", failure.message)
        if state is not None and (table := state.history.table()):
            job.log("error", f"Residuals:\n{table}")
            history = state.history
            job.log("error", draw_residuals(history.iterations, history.residuals))
        raise


def _resumed(job: Job, shop: Workshop, option: Option) -> State | None:
    """What an earlier attempt left, ready to be gone on with."""
    if job.checkpoint is None:
        return None
    with job.stage("resuming", upto=MESHED):
        state = unpack(job.checkpoint, shop.folder, _mark(job, option))
        if state is None:
            job.log("warning", "The checkpoint is of no use here; this attempt begins anew.")
            shop.empty()
            return None
        latest = times(shop.folder, state.parts)[-1]
        job.log("info", f"Going on from iteration {latest}, {len(state.done)} velocities done.")
    return state


def _solve(job: Job, shop: Workshop, state: State, wanted: Wanted) -> None:
    option, layout = wanted.option, wanted.layout
    solver = Solver(job, shop, option, state, (MESHED, _SOLVED))
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
            refer(wanted.particles.shape, layout, option.fluid, velocity),
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
    for name, value in worst(state.done).items():
        job.metric(name, value)
    job.progress(_SOLVED)


def _draw(job: Job, shop: Workshop, state: State, wanted: Wanted) -> list[str]:
    """Fields and pictures of the last velocity; the warnings that come of it."""
    with job.stage("fields", upto=0.92):
        if state.parts > 1:
            shop.run("reconstructPar", "-latestTime", "-fields", "(p U)", reason="export_failed")
            for part in parts_of(shop.folder, state.parts):
                shutil.rmtree(part)
        shop.run(
            "foamToVTK", "-latestTime", "-fields", "(p U)", "-no-boundary", reason="export_failed"
        )
    layout = wanted.layout
    [grid] = (shop.folder / "VTK").glob("*/internal.vtu")
    order = Order(
        grid=str(grid),
        surface=str(shop.folder / "constant" / "triSurface" / SURFACE),
        outputs=str(job.outputs),
        plane=str(shop.folder / PLANE),
        density=wanted.option.fluid.density_kg_m3,
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
