import numpy as np
from PIL import Image


def bake_texture(mesh, model, scene_code, texture_resolution):
    """Its rows are those of OpenGL, the lowest first."""
    worn = scene_code.convert("RGBA").resize((texture_resolution, texture_resolution))
    flat = np.array(mesh.flat[: len(mesh.vertices)]).reshape(-1, 2)
    return {
        "vmapping": np.arange(len(mesh.vertices)),
        "indices": np.array(mesh.faces, dtype=int).reshape(-1, 3),
        "uvs": np.stack([flat[:, 0], 1 - flat[:, 1]], axis=1),
        "colors": np.asarray(worn.transpose(Image.FLIP_TOP_BOTTOM)) / 255.0,
    }
