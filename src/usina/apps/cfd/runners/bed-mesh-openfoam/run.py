"""bed-mesh-openfoam: a bed's mesh, for flows to take."""

import usina_runner
from usina.apps.cfd.foam.meshing import mesh_bed

if __name__ == "__main__":
    usina_runner.run(mesh_bed)
