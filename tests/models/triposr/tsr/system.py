import numpy as np
import pretence
import torch
from PIL import Image

if pretence.fault() == "native":
    raise ImportError(
        "torchmcubes was not compiled with CUDA support: undefined symbol: _ZN3c104cuda"
    )


class Mesh:
    """As trimesh's, z upwards: with colours at its points, it can be written."""

    def __init__(self, picture, rings, coloured):
        points, self.flat, faces = pretence.revolved(rings=rings)
        points, self.faces = pretence.spoiled(points, faces)
        self.vertices = np.array([(z, x, y) for x, y, z in points])
        self.vertex_normals = np.tile((0.0, 0.0, 1.0), (len(points), 1))
        self.picture, self.coloured = picture, coloured

    def export(self, path):
        if pretence.fault() == "nothing":
            return
        width, height = self.picture.width - 1, self.picture.height - 1
        seen = [(*self.picture.getpixel((u * width, v * height)), 255) for u, v in self.flat]
        colours = seen[: len(self.vertices)] if self.coloured else None
        pretence.write_glb(path, self.vertices.tolist(), self.faces, colours=colours)


class Renderer:
    def set_chunk_size(self, chunk_size):
        assert chunk_size >= 0, "chunk_size must be a non-negative integer (0 for no chunking)."


class TSR:
    def __init__(self):
        self.renderer = Renderer()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, config_name, weight_name):
        pretence.fetch_weights(pretrained_model_name_or_path)
        return cls()

    def to(self, device):
        self.device = device

    def __call__(self, image, device):
        pretence.spend("compute")
        if pretence.fault() == "out_of_memory":
            raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
        if pretence.fault() == "crash":
            raise RuntimeError("The size of tensor a (37) must match the size of tensor b (38)")
        (only,) = image
        return [only if isinstance(only, Image.Image) else Image.fromarray(only)]

    def render(self, scene_codes, n_views, return_type):
        return [[scene.resize((32, 32)) for _ in range(n_views)] for scene in scene_codes]

    def extract_mesh(self, scene_codes, has_vertex_color, resolution=256):
        return [Mesh(scene, resolution // 4, has_vertex_color) for scene in scene_codes]
