import io

import pretence
import torch

from spar3d.models.mesh import QUAD_REMESH_AVAILABLE, Mesh, PointCloud


class SPAR3D:
    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path, config_name, weight_name, low_vram_mode=False
    ):
        pretence.fetch_weights(pretrained_model_name_or_path)
        torch.cuda.held = 0.66 if low_vram_mode else 1
        return cls()

    def to(self, device):
        self.device = device

    def eval(self):
        pass

    def run_image(
        self, image, bake_resolution, remesh="none", vertex_count=-1, return_points=False
    ):
        pretence.spend("compute")
        if pretence.fault() == "out_of_memory":
            raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
        if pretence.fault() == "crash":
            raise RuntimeError("The size of tensor a (37) must match the size of tensor b (38)")
        if remesh == "quad" and not QUAD_REMESH_AVAILABLE:
            raise ImportError("Quad remeshing requires pynim to be installed")
        if remesh != "none":
            print(f"After {remesh} remesh the mesh has {vertex_count} verts and 3840 faces")
        file = io.BytesIO()
        worn = image[0].convert("RGB").resize((bake_resolution, bake_resolution))
        worn.save(file, "JPEG")
        return Mesh(file.getvalue()), {"point_clouds": [PointCloud()]} if return_points else {}
