"""Writing triangles as binary STL, which every slicer reads."""

import numpy as np

from usina.apps.threed.mesh import Mesh, face_normals

_HEADER = b"Usina, millimetres, z up"
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")])


def to_stl(mesh: Mesh) -> bytes:
    """The whole file. STL has no unit; slicers take its numbers for millimetres. The same mesh
    gives the same bytes."""
    triangles = np.zeros(len(mesh.faces), dtype=_TRIANGLE)
    triangles["normal"] = face_normals(mesh)
    triangles["corner"] = mesh.points[mesh.faces]
    count = np.uint32(len(mesh.faces)).astype("<u4").tobytes()
    return _HEADER.ljust(80, b"\0") + count + triangles.tobytes()
