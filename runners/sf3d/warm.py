"""Stable Fast 3D by its own Python interface, used as its run.py does; runs in its environment.

Loaded by `usina/apps/threed/foreign/server.py`. Python 3.8 or newer.
"""

from pathlib import Path

import card
import rembg
from PIL import Image
from sf3d.system import SF3D
from sf3d.utils import remove_background, resize_foreground


class Loaded:
    def __init__(self, model, device, session):
        self.model, self.device, self.session = model, device, session


def load(options):
    device = options["device"]
    card.check(device)
    model = SF3D.from_pretrained(
        options["pretrained_model"], config_name="config.yaml", weight_name="model.safetensors"
    )
    model.to(device)
    model.eval()
    return Loaded(model, device, rembg.new_session())


def make(loaded, order, tell):
    params, folder = order["params"], Path(order["out"], "0")
    folder.mkdir(parents=True, exist_ok=True)
    tell("cut out")
    image = remove_background(Image.open(order["image"]).convert("RGBA"), loaded.session)
    image = resize_foreground(image, params["foreground_ratio"])
    image.save(folder / "input.png")
    tell("generate")
    mesh, _ = card.run_image(
        loaded.model,
        loaded.device,
        image,
        bake_resolution=params["texture_resolution"],
        remesh=params["remesh_option"],
        vertex_count=params["target_vertex_count"],
    )
    tell("write")
    mesh.export(str(folder / "mesh.glb"), include_normals=True)
    return {"device": loaded.device, "peak_memory_mb": card.peak_mib(loaded.device)}
