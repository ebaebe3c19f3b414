"""From a layout to a mesh that a solver can start on, in parts where there are several cores."""

import shutil
from collections.abc import Callable
from typing import Final

from usina.apps.cfd.foam.case import Control, write_control, write_parts
from usina.apps.cfd.foam.checkpoint import parts_of
from usina.apps.cfd.foam.layout import Layout
from usina.apps.cfd.foam.log import MeshQuality, read_quality
from usina.apps.cfd.foam.workshop import Workshop
from usina_runner import Failure

_CELLS_PER_PART: Final = 5_000
"""Below this, a part of its own costs more than it gains."""


def parts_for(layout: Layout, cores: int) -> int:
    """In how many slices along the tube to work."""
    most = min(cores, layout.grid.along // 4, layout.estimated_cells // _CELLS_PER_PART)
    return max(1, most)


def make_mesh(
    shop: Workshop, parts: int, *, empty: bool = False, tell: Callable[[float], None]
) -> MeshQuality:
    """The finished mesh, whole, worked on in ``parts``; what ``checkMesh`` says of it.

    ``empty`` is a tube without a bed. ``tell`` hears what share is done. Raises ``Failure``.
    """
    write_control(shop.folder, Control(1))
    write_parts(shop.folder, parts)
    shop.run("blockMesh", reason="mesh_failed")
    tell(0.1)
    if not empty:
        _cut_out(shop, parts)
    tell(0.85)
    return _quality(shop)


def begin_fields(shop: Workshop, parts: int) -> None:
    """The fields at 0 and the places and volumes of the cells of a mesh that is whole, in
    ``parts``. Raises ``Failure``."""
    write_control(shop.folder, Control(1))
    write_parts(shop.folder, parts)
    shutil.copytree(shop.folder / "0.orig", shop.folder / "0")
    if parts > 1:
        shop.run("decomposePar", reason="mesh_failed")
    measure = "(writeCellCentres writeCellVolumes)"
    shop.run("postProcess", "-funcs", measure, "-time", "0", reason="mesh_failed", parts=parts)


def _cut_out(shop: Workshop, parts: int) -> None:
    """The particles out of the tube."""
    if parts == 1:
        shop.run("snappyHexMesh", "-overwrite", reason="mesh_failed")
        return
    shop.run("decomposePar", reason="mesh_failed")
    shop.run("snappyHexMesh", "-overwrite", reason="mesh_failed", parts=parts)
    shop.run("reconstructParMesh", "-constant", "-mergeTol", "1e-6", reason="mesh_failed")
    for part in parts_of(shop.folder, parts):
        shutil.rmtree(part)


def _quality(shop: Workshop) -> MeshQuality:
    shop.run("checkMesh", "-constant", reason="mesh_failed")
    try:
        return read_quality(shop.log_of("checkMesh").read_text("utf-8", "replace"))
    except ValueError as error:
        raise Failure("runner_failed", "mesh_failed", str(error), False) from None
