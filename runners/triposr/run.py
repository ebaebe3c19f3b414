"""triposr-v1: a picture as a coloured or textured mesh, by TripoSR in its own environment."""

import re
from pathlib import Path

import usina_runner
from usina.apps.threed.foreign.delivery import Z_UP_X_FRONT
from usina.apps.threed.foreign.image import ImageModel, Stage

MODEL = ImageModel(
    prefix="TRIPOSR",
    weights="stabilityai/TripoSR",
    flags={
        "device": "--device",
        "pretrained_model": "--pretrained-model-name-or-path",
        "foreground_ratio": "--foreground-ratio",
        "no_remove_bg": "--no-remove-bg",
        "mc_resolution": "--mc-resolution",
        "chunk_size": "--chunk-size",
        "bake_texture": "--bake-texture",
        "texture_resolution": "--texture-resolution",
        "render": "--render",
    },
    stages=(
        Stage("start", 0.03),
        Stage("load", 0.15, re.compile(r"Initializing model \.\.\.")),
        Stage("cut out", 0.35, re.compile(r"Processing images \.\.\.")),
        Stage("generate", 0.45, re.compile(r"Running model \.\.\.")),
        Stage("render", 0.5, re.compile(r"Rendering \.\.\.")),
        Stage("surface", 0.6, re.compile(r"Extracting mesh \.\.\.|Exporting mesh \.\.\.")),
        Stage("texture", 0.7, re.compile(r"Baking texture \.\.\.")),
    ),
    front=Z_UP_X_FRONT,
    adapter=Path(__file__).with_name("warm.py"),
    devices={"cuda": "cuda:0", "cpu": "cpu"},
    fixed=lambda params: (f"--model-save-format={'obj' if params['bake_texture'] else 'glb'}",),
    mesh=lambda params: "mesh.obj" if params["bake_texture"] else "mesh.glb",
    rewritten=True,
    beside={"render.mp4": "video"},
)

if __name__ == "__main__":
    usina_runner.run(MODEL.main, load=MODEL.keeper)
