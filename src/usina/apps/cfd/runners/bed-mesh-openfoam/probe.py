"""Whether OpenFOAM and PyVista are here; the last line says what is missing and how to get it."""

import sys
from importlib.util import find_spec

from usina.apps.cfd.foam.installation import NotInstalled, find_installation

try:
    find_installation()
except NotInstalled as missing:
    sys.exit(str(missing))
if find_spec("pyvista") is None:
    sys.exit("PyVista is not installed: pip install 'usina[cfd]'.")
