"""Stands in for run.py of SPAR3D: the same options, folders, words and failures."""

import os
from pathlib import Path

import pretence
import torch
from PIL import Image
from spar3d.models.mesh import QUAD_REMESH_AVAILABLE, TRIANGLE_REMESH_AVAILABLE
from spar3d.system import SPAR3D
from spar3d.utils import foreground_crop, remove_background
from tqdm import tqdm
from transparent_background import Remover

OF_REMESHERS = {"--reduction_count_type", "--target_count"}

remeshes = TRIANGLE_REMESH_AVAILABLE or QUAD_REMESH_AVAILABLE
table = Path(__file__).with_name("arguments.toml")
args = pretence.parser(table, without=set() if remeshes else OF_REMESHERS).parse_args()
if not any(args.device in device for device in ("cuda", "mps", "cpu")):
    raise ValueError("Invalid device. Use cuda, mps or cpu")
os.makedirs(args.output_dir, exist_ok=True)
device = args.device if torch.cuda.is_available() else "cpu"
print("Device used: ", device)
model = SPAR3D.from_pretrained(
    args.pretrained_model,
    config_name="config.yaml",
    weight_name="model.safetensors",
    low_vram_mode=args.low_vram_mode,
)
model.to(device)
model.eval()
remover = Remover(device=device)
images = []
for index, path in enumerate(args.image):
    image = remove_background(Image.open(path).convert("RGBA"), remover)
    image = foreground_crop(image, args.foreground_ratio)
    os.makedirs(os.path.join(args.output_dir, str(index)), exist_ok=True)
    image.save(os.path.join(args.output_dir, str(index), "input.png"))
    images.append(image)
counts = {"keep": -1, "vertex": args.target_count, "faces": args.target_count // 2}
for index in tqdm(range(0, len(images), args.batch_size)):
    mesh, beside = model.run_image(
        images[index : index + args.batch_size],
        bake_resolution=args.texture_resolution,
        remesh=args.remesh_option,
        vertex_count=counts[args.reduction_count_type],
        return_points=True,
    )
    if torch.cuda.is_available():
        print("Peak Memory:", torch.cuda.max_memory_allocated() / 1024 / 1024, "MB")
    mesh.export(os.path.join(args.output_dir, str(index), "mesh.glb"), include_normals=True)
    beside["point_clouds"][0].export(os.path.join(args.output_dir, str(index), "points.ply"))
