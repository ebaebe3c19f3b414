"""spar3d-v1: a picture as a textured mesh, by SPAR3D in its own environment."""

import re
from pathlib import Path

import usina_runner
from usina.apps.threed.foreign.delivery import HALF_ROUND
from usina.apps.threed.foreign.image import ImageModel, Stage

MODEL = ImageModel(
    prefix="SPAR3D",
    weights="stabilityai/stable-point-aware-3d",
    flags={
        "device": "--device",
        "pretrained_model": "--pretrained-model",
        "foreground_ratio": "--foreground-ratio",
        "texture_resolution": "--texture-resolution",
        "low_vram_mode": "--low-vram-mode",
        "remesh_option": "--remesh_option",
        "reduction_count_type": "--reduction_count_type",
        "target_count": "--target_count",
    },
    stages=(
        Stage("start", 0.03),
        Stage("load", 0.15, re.compile(r"Device used:")),
        Stage("cut out", 0.35),
        Stage("generate", 0.4, re.compile(r"\b0%\|")),
        Stage("texture", 0.6, re.compile(r"After \w+ remesh the mesh has")),
        Stage("write", 0.75, re.compile(r"Peak Memory:")),
    ),
    front=HALF_ROUND,
    adapter=Path(__file__).with_name("warm.py"),
    loaded_by=("pretrained_model", "device", "low_vram_mode"),
    beside={"points.ply": "data"},
)

if __name__ == "__main__":
    usina_runner.run(MODEL.main, load=MODEL.keeper)
