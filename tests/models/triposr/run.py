"""Stands in for run.py of TripoSR: the same options, folders, words and failures; z is up."""

import logging
import os
from pathlib import Path

import numpy as np
import pretence
import rembg
import torch
import xatlas
from PIL import Image
from tsr.bake_texture import bake_texture
from tsr.system import TSR
from tsr.utils import remove_background, resize_foreground, save_video

logging.basicConfig(format="%(asctime)s - %(levelname)s - %(message)s", level=logging.INFO)
args = pretence.parser(Path(__file__).with_name("arguments.toml")).parse_args()
os.makedirs(args.output_dir, exist_ok=True)
device = args.device if torch.cuda.is_available() else "cpu"
logging.info("Initializing model ...")
model = TSR.from_pretrained(
    args.pretrained_model_name_or_path, config_name="config.yaml", weight_name="model.ckpt"
)
model.renderer.set_chunk_size(args.chunk_size)
model.to(device)
logging.info("Initializing model finished in 1204.57ms.")
logging.info("Processing images ...")
session = None if args.no_remove_bg else rembg.new_session()
images = []
for index, path in enumerate(args.image):
    if args.no_remove_bg:
        image = np.array(Image.open(path).convert("RGB"))
    else:
        image = resize_foreground(
            remove_background(Image.open(path), session), args.foreground_ratio
        )
        grey = Image.new("RGBA", image.size, (127, 127, 127, 255))
        image = Image.alpha_composite(grey, image).convert("RGB")
        Path(args.output_dir, str(index)).mkdir(exist_ok=True)
        image.save(os.path.join(args.output_dir, str(index), "input.png"))
    images.append(image)
for index, image in enumerate(images):
    folder = Path(args.output_dir, str(index))
    logging.info(f"Running image {index + 1}/{len(images)} ...")
    logging.info("Running model ...")
    scene_codes = model([image], device=device)
    if args.render:
        logging.info("Rendering ...")
        render_images = model.render(scene_codes, n_views=30, return_type="pil")
        save_video(render_images[0], str(folder / "render.mp4"), fps=30)
    logging.info("Extracting mesh ...")
    meshes = model.extract_mesh(scene_codes, not args.bake_texture, resolution=args.mc_resolution)
    target = str(folder / f"mesh.{args.model_save_format}")
    if not args.bake_texture:
        logging.info("Exporting mesh ...")
        meshes[0].export(target)
        continue
    logging.info("Baking texture ...")
    baked = bake_texture(meshes[0], model, scene_codes[0], args.texture_resolution)
    logging.info("Exporting mesh and texture ...")
    kept = baked["vmapping"]
    normals = meshes[0].vertex_normals[kept]
    xatlas.export(target, meshes[0].vertices[kept], baked["indices"], baked["uvs"], normals)
    worn = Image.fromarray((baked["colors"] * 255.0).astype(np.uint8))
    worn.transpose(Image.FLIP_TOP_BOTTOM).save(folder / "texture.png")
