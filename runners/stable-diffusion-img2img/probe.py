"""Whether there is an engine: a server is named, or a whole pipeline and a Python for it."""

import sys

from usina.apps.avatars.diffusion.engine import NoEngine, check_engine, find_engine

try:
    check_engine(find_engine())
except NoEngine as missing:
    sys.exit(str(missing))
