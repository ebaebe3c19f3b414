"""TripoSR by its own Python interface, used as its run.py does; runs in its environment.

Loaded by `usina/apps/threed/foreign/server.py`. Python 3.8 or newer.
"""

from pathlib import Path

import card
import numpy as np
import rembg
import torch
from PIL import Image
from tsr.system import TSR
from tsr.utils import remove_background, resize_foreground, save_video

GREY = 0.5
"""What lies behind the object in the pictures that the model knows."""


class Loaded:
    def __init__(self, model, device):
        self.model, self.device = model, device
        self._session = None

    @property
    def session(self):
        """What cuts out; loaded with the first picture that needs it."""
        self._session = self._session or rembg.new_session()
        return self._session


def load(options):
    device = options["device"]
    card.check(device)
    model = TSR.from_pretrained(
        options["pretrained_model"], config_name="config.yaml", weight_name="model.ckpt"
    )
    model.to(device)
    return Loaded(model, device)


def make(loaded, order, tell):
    params, folder, model = order["params"], Path(order["out"], "0"), loaded.model
    folder.mkdir(parents=True, exist_ok=True)
    model.renderer.set_chunk_size(params["chunk_size"])
    tell("cut out")
    image = prepared(loaded, order["image"], params, folder)
    tell("generate")
    card.forget_peak(loaded.device)
    with torch.no_grad():
        scenes = model([image], device=loaded.device)
    if params["render"]:
        tell("render")
        views = model.render(scenes, n_views=30, return_type="pil")
        save_video(views[0], str(folder / "render.mp4"), fps=30)
    tell("surface")
    baked = params["bake_texture"]
    (mesh,) = model.extract_mesh(scenes, not baked, resolution=params["mc_resolution"])
    if baked:
        tell("texture")
        write_baked(mesh, model, scenes[0], params["texture_resolution"], folder)
    else:
        mesh.export(str(folder / "mesh.glb"))
    return {"device": loaded.device, "peak_memory_mb": card.peak_mib(loaded.device)}


def prepared(loaded, path, params, folder):
    """The object before grey, filling as much of the frame as is asked for."""
    if params["no_remove_bg"]:
        return np.array(Image.open(path).convert("RGB"))
    image = remove_background(Image.open(path), loaded.session)
    cut = np.asarray(resize_foreground(image, params["foreground_ratio"])).astype(np.float32) / 255
    colours, alpha = cut[:, :, :3], cut[:, :, 3:4]
    placed = colours * alpha + (1 - alpha) * GREY
    image = Image.fromarray((placed * 255).astype(np.uint8))
    image.save(folder / "input.png")
    return image


def write_baked(mesh, model, scene, resolution, folder):
    """``mesh.obj`` and its ``texture.png``; imported here, since baking alone needs OpenGL."""
    import xatlas
    from tsr.bake_texture import bake_texture

    made = bake_texture(mesh, model, scene, resolution)
    points = made["vmapping"]
    xatlas.export(
        str(folder / "mesh.obj"),
        mesh.vertices[points],
        made["indices"],
        made["uvs"],
        mesh.vertex_normals[points],
    )
    texture = Image.fromarray((made["colors"] * 255).astype(np.uint8))
    texture.transpose(Image.FLIP_TOP_BOTTOM).save(folder / "texture.png")
