"""SPAR3D by its own Python interface, used as its run.py does; runs in its environment.

Loaded by `usina/apps/threed/foreign/server.py`. Python 3.8 or newer.
"""

import os
from pathlib import Path

import card
from PIL import Image
from spar3d.system import SPAR3D
from spar3d.utils import foreground_crop, remove_background
from transparent_background import Remover


class Loaded:
    def __init__(self, model, device, remover):
        self.model, self.device, self.remover = model, device, remover


def load(options):
    device = options["device"]
    card.check(device)
    model = SPAR3D.from_pretrained(
        options["pretrained_model"],
        config_name="config.yaml",
        weight_name="model.safetensors",
        low_vram_mode=options["low_vram_mode"],
    )
    model.to(device)
    model.eval()
    return Loaded(model, device, remover(device))


def remover(device):
    """What cuts out, by the checkpoint below ``TRANSPARENT_BACKGROUND_FILE_PATH``; what it writes
    beside it otherwise goes to the home, since that folder may be read only."""
    told = os.environ.pop("TRANSPARENT_BACKGROUND_FILE_PATH", None)
    weights = Path(told or "~", ".transparent-background", "ckpt_base.pth").expanduser()
    if not weights.is_file():
        raise FileNotFoundError(f"Cannot find the requested files: {weights.name} to cut out with")
    return Remover(device=device, ckpt=str(weights))


def make(loaded, order, tell):
    params, folder = order["params"], Path(order["out"], "0")
    folder.mkdir(parents=True, exist_ok=True)
    tell("cut out")
    image = remove_background(Image.open(order["image"]).convert("RGBA"), loaded.remover)
    image = foreground_crop(image, params["foreground_ratio"])
    image.save(folder / "input.png")
    tell("generate")
    mesh, beside = card.run_image(
        loaded.model,
        loaded.device,
        image,
        bake_resolution=params["texture_resolution"],
        remesh=params["remesh_option"],
        vertex_count=vertex_count(params["reduction_count_type"], params["target_count"]),
        return_points=True,
    )
    tell("write")
    mesh.export(str(folder / "mesh.glb"), include_normals=True)
    beside["point_clouds"][0].export(str(folder / "points.ply"))
    return {"device": loaded.device, "peak_memory_mb": card.peak_mib(loaded.device)}


def vertex_count(counted, target):
    """A closed mesh has about twice as many triangles as points; -1 is as many as there are."""
    return {"keep": -1, "vertex": target, "faces": target // 2}[counted]
