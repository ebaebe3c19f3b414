"""Stands in for run.py of TripoSR: the same options, folders, words and failures; z is up."""

import logging
from pathlib import Path

import pretence
import rembg
import torch
from PIL import Image

logging.basicConfig(format="%(asctime)s - %(levelname)s - %(message)s", level=logging.INFO)
args = pretence.parser(Path(__file__).with_name("arguments.toml")).parse_args()
if pretence.fault() == "native":
    raise ImportError(
        "torchmcubes was not compiled with CUDA support: undefined symbol: _ZN3c104cuda"
    )
device = args.device if torch.cuda.is_available() else "cpu"
logging.info("Initializing model ...")
pretence.fetch_weights(args.pretrained_model_name_or_path)
logging.info("Initializing model finished in 1204.57ms.")
logging.info("Processing images ...")
images = []
for index, path in enumerate(args.image):
    folder = Path(args.output_dir, str(index))
    image = Image.open(path).convert("RGBA")
    if not args.no_remove_bg:
        folder.mkdir(parents=True, exist_ok=True)
        image = rembg.remove(image)
        image.convert("RGB").save(folder / "input.png")
    images.append(image)
for index, image in enumerate(images):
    folder = Path(args.output_dir, str(index))
    logging.info(f"Running image {index + 1}/{len(images)} ...")
    logging.info("Running model ...")
    pretence.spend("compute")
    if pretence.fault() == "out_of_memory":
        raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
    if args.render:
        logging.info("Rendering ...")
        (folder / "render.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    logging.info("Extracting mesh ...")
    points, flat, faces = pretence.revolved(rings=args.mc_resolution // 4)
    points, faces = pretence.spoiled(points, faces)
    points = [(z, x, y) for x, y, z in points]
    picture = image.convert("RGB")
    if pretence.fault() == "nothing":
        continue
    target = folder / f"mesh.{args.model_save_format}"
    if args.bake_texture:
        logging.info("Baking texture ...")
        side = args.texture_resolution
        picture.resize((side, side)).save(folder / "texture.png", compress_level=1)
        lines = [f"v {x:f} {y:f} {z:f}" for x, y, z in points]
        lines += [f"vt {u:f} {1 - v:f}" for u, v in flat]
        lines += ["f " + " ".join(f"{n + 1}/{n + 1}" for n in face) for face in faces]
        target.write_text("\n".join(lines) + "\n")
    else:
        width, height = picture.width - 1, picture.height - 1
        colours = [(*picture.getpixel((u * width, v * height)), 255) for u, v in flat]
        pretence.write_glb(target, points, faces, colours=colours[: len(points)])
