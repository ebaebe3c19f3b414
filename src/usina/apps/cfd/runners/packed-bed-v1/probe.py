"""Whether the model can run here: its libraries are there. It keeps their machine code, too."""

from usina.apps.cfd.kept import can_keep, once


def make() -> bool:
    from usina.apps.cfd.packing.warmth import keep_all

    return not can_keep() or keep_all()


once("packed-bed-v1", make)
