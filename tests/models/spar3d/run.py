"""Stands in for run.py of SPAR3D: the same options, folders, words and failures."""

import io
import os
from pathlib import Path

import pretence
import rembg
import torch
from PIL import Image
from tqdm import tqdm

args = pretence.parser(Path(__file__).with_name("arguments.toml")).parse_args()
if not any(args.device in device for device in ("cuda", "mps", "cpu")):
    raise ValueError("Invalid device. Use cuda, mps or cpu")
if pretence.fault() == "native":
    raise ImportError("texture_baker not found")
os.makedirs(args.output_dir, exist_ok=True)
print("Device used: ", args.device if torch.cuda.is_available() else "cpu")
pretence.fetch_weights(args.pretrained_model)
for index, path in enumerate(tqdm(args.image)):
    folder = Path(args.output_dir, str(index))
    folder.mkdir(parents=True, exist_ok=True)
    image = rembg.remove(Image.open(path).convert("RGBA"))
    image.save(folder / "input.png")
    pretence.spend("compute")
    if pretence.fault() == "out_of_memory":
        raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
    print("After Remesh", 1920, 3840)
    points, flat, faces = pretence.revolved()
    points, faces = pretence.spoiled(points, faces)
    side = args.texture_resolution
    file = io.BytesIO()
    image.convert("RGB").resize((side, side)).save(file, "JPEG")
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() * (0.66 if args.low_vram_mode else 1)
        print("Peak Memory:", peak / 1024 / 1024, "MB")
    if pretence.fault() != "nothing":
        pretence.write_glb(folder / "mesh.glb", points, faces, flat[: len(points)], file.getvalue())
        (folder / "points.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
