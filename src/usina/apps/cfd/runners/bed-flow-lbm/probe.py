"""Whether the model can run here: its libraries are there. What they make once, machine code and
the list of fonts, is kept, so that no job has to."""

from pathlib import Path
from tempfile import TemporaryDirectory

from usina.apps.cfd.kept import can_keep, once


def make() -> bool:
    from usina.apps.cfd.lattice.kernel import compile_all
    from usina.apps.cfd.plot import canvas

    if can_keep():
        compile_all()
        with TemporaryDirectory() as folder, canvas(Path(folder, "any.png")) as axes:
            axes.plot([0, 1])
    return True


once("bed-flow-lbm", make)
