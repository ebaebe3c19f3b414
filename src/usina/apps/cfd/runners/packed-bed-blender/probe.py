"""Whether Blender is there and new enough."""

import sys

from usina.apps.cfd.packing.blender import NoBlender, check_blender

try:
    check_blender()
except NoBlender as missing:
    sys.exit(str(missing))
