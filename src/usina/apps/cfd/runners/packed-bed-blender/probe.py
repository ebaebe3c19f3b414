"""Whether Blender is there and new enough; one that was asked before is not asked again."""

import sys
from pathlib import Path

from usina.apps.cfd.kept import once
from usina.apps.cfd.packing.installation import NoBlender, check_blender, find_blender


def make() -> bool:
    check_blender()
    return True


try:
    once("packed-bed-blender", make, also=[Path(find_blender())])
except NoBlender as missing:
    sys.exit(str(missing))
