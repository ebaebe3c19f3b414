import io

import pretence
import torch

if pretence.fault() == "native":
    raise ImportError("texture_baker not found")


class Mesh:
    """As trimesh's: it can be written."""

    def __init__(self, picture, rings, sides):
        points, self.flat, faces = pretence.revolved(rings, sides)
        self.points, self.faces = pretence.spoiled(points, faces)
        self.flat = self.flat[: len(self.points)]
        self.picture = picture

    def export(self, path, include_normals=False):
        if pretence.fault() != "nothing":
            pretence.write_glb(path, self.points, self.faces, self.flat, self.picture)


class SF3D:
    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, config_name, weight_name):
        pretence.fetch_weights(pretrained_model_name_or_path)
        return cls()

    def to(self, device):
        self.device = device

    def eval(self):
        pass

    def run_image(self, image, bake_resolution, remesh="none", vertex_count=-1):
        pretence.spend("compute")
        if pretence.fault() == "out_of_memory":
            raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
        if pretence.fault() == "crash":
            raise RuntimeError("The size of tensor a (37) must match the size of tensor b (38)")
        rings = 40 if remesh == "none" else 30
        print("After Remesh", rings * 48, 2 * rings * 48)
        file = io.BytesIO()
        worn = image[0].convert("RGB").resize((bake_resolution, bake_resolution))
        worn.save(file, "JPEG")
        return Mesh(file.getvalue(), rings, 48), {}
