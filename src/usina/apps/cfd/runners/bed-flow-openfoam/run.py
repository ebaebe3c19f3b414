"""bed-flow-openfoam: what a fluid loses in a packed bed, by OpenFOAM."""

import usina_runner
from usina.apps.cfd.foam.flow import flow_through

if __name__ == "__main__":
    usina_runner.run(flow_through)
