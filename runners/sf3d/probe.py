"""Whether Stable Fast 3D is there; the last line says what is missing and what to set."""

import sys

from usina.apps.threed.foreign.home import NotInstalled, find_home

try:
    find_home("SF3D", "run.py")
except NotInstalled as missing:
    sys.exit(str(missing))
