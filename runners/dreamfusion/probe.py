"""Whether threestudio is there; the last line says what is missing and what to set."""

import sys

from usina.apps.threed.foreign.home import NotInstalled, find_config, find_home

try:
    find_config(find_home("DREAMFUSION", "launch.py"), "configs/dreamfusion-sd.yaml")
except NotInstalled as missing:
    sys.exit(str(missing))
