import pretence

if pretence.fault() == "native":
    raise ImportError("uv_unwrapper not found")

TRIANGLE_REMESH_AVAILABLE = QUAD_REMESH_AVAILABLE = pretence.fault() != "no_remesher"


class Mesh:
    """As trimesh's: it can be written."""

    def __init__(self, picture):
        points, self.flat, faces = pretence.revolved()
        self.points, self.faces = pretence.spoiled(points, faces)
        self.picture = picture

    def export(self, path, include_normals=False):
        if pretence.fault() != "nothing":
            flat = self.flat[: len(self.points)]
            pretence.write_glb(path, self.points, self.faces, flat, self.picture)


class PointCloud:
    def export(self, path):
        with open(path, "w") as file:
            file.write("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
