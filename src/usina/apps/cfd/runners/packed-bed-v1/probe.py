"""Whether the model can run here: its libraries are there. It keeps their machine code, too."""

from usina.apps.cfd.packing.warmth import keep_all

keep_all()
