"""bed-flow-lbm: a packed bed's permeability, by the lattice Boltzmann method."""

import usina_runner
from usina.apps.cfd.lattice.flow import flow_through

if __name__ == "__main__":
    usina_runner.run(flow_through)
