"""Stands in for run.py of Stable Fast 3D: the same options, folders, words and failures."""

import os
from pathlib import Path

import pretence
import rembg
import torch
from PIL import Image
from sf3d.system import SF3D
from sf3d.utils import remove_background, resize_foreground
from tqdm import tqdm

args = pretence.parser(Path(__file__).with_name("arguments.toml")).parse_args()
if not any(args.device in device for device in ("cuda", "mps", "cpu")):
    raise ValueError("Invalid device. Use cuda, mps or cpu")
os.makedirs(args.output_dir, exist_ok=True)
device = args.device if torch.cuda.is_available() else "cpu"
print("Device used: ", device)
model = SF3D.from_pretrained(
    args.pretrained_model, config_name="config.yaml", weight_name="model.safetensors"
)
model.to(device)
model.eval()
session = rembg.new_session()
images = []
for index, path in enumerate(args.image):
    image = resize_foreground(
        remove_background(Image.open(path).convert("RGBA"), session), args.foreground_ratio
    )
    os.makedirs(os.path.join(args.output_dir, str(index)), exist_ok=True)
    image.save(os.path.join(args.output_dir, str(index), "input.png"))
    images.append(image)
for index in tqdm(range(0, len(images), args.batch_size)):
    mesh, _ = model.run_image(
        images[index : index + args.batch_size],
        bake_resolution=args.texture_resolution,
        remesh=args.remesh_option,
        vertex_count=args.target_vertex_count,
    )
    if torch.cuda.is_available():
        print("Peak Memory:", torch.cuda.max_memory_allocated() / 1024 / 1024, "MB")
    mesh.export(os.path.join(args.output_dir, str(index), "mesh.glb"), include_normals=True)
