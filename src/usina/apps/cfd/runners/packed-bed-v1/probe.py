"""Whether the model can run here: its libraries are there. It keeps their machine code, too."""

from usina.apps.cfd.kept import once


def make() -> bool:
    from usina.apps.cfd.packing.warmth import keep_all

    return keep_all()


once("packed-bed-v1", make)
