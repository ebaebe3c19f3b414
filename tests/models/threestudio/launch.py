"""Stands in for launch.py of threestudio: real OmegaConf, the same folders, words and failures."""

import json
import os
import sys
import time
import zipfile
from pathlib import Path

import pretence
import torch
from omegaconf import OmegaConf
from PIL import Image

OmegaConf.register_resolver("rmspace", lambda text, sub: text.replace(" ", sub))


def load_config(path, words):
    config = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_cli(words))
    OmegaConf.resolve(config)
    return config


def trial_of(config):
    stamp = "" if config.get("use_timestamp") is False else f"@{time.strftime('%Y%m%d-%H%M%S')}"
    return Path(config.exp_root_dir, config.name, f"{config.tag}{stamp}")


class Trial:
    def __init__(self, args, config, folder):
        self.args, self.config, self.folder = args, config, folder
        self.steps = config.trainer.max_steps

    def say(self, words):
        if self.args.gradio:
            (self.folder / "progress").write_text(words)

    def train(self):
        first = 0
        if config.get("resume"):
            with zipfile.ZipFile(config.resume) as saved:
                first = json.loads(saved.read("archive/data.pkl"))["global_step"]
        every = self.config.checkpoint.every_n_train_steps
        for step in range(first + 1, self.steps + 1):
            pretence.spend("step")
            if pretence.fault() == "out_of_memory" and step > first + 2:
                raise torch.OutOfMemoryError(pretence.OUT_OF_MEMORY)
            if pretence.fault() == "stops" and step == 60 and not first:
                raise RuntimeError("The expanded size of the tensor (64) must match")
            if step % 10 == 0 or step == self.steps:
                self.say(f"Generation progress: {100 * step / self.steps:.2f}%")
                sys.stderr.write(f"\rEpoch 0: | {step}/? [00:01<00:00, 9.71it/s]")
            if step % every == 0:
                self.keep(step)
        self.say("Rendering video ...")

    def keep(self, step):
        top = self.config.checkpoint.save_top_k
        for older in self.folder.glob("ckpts/epoch=*.ckpt") if top == 1 else ():
            older.unlink()
        for name in (f"epoch=0-step={step}.ckpt", "last.ckpt"):
            with zipfile.ZipFile(self.folder / "ckpts" / name, "w") as saved:
                saved.writestr("archive/data.pkl", json.dumps({"epoch": 0, "global_step": step}))

    def export(self):
        self.say("Exporting mesh assets ...")
        exporter = self.config.system.exporter
        if exporter.get("context_type", "gl") == "gl":
            raise RuntimeError("Cuda error: 304[cudaGraphicsGLRegisterBuffer(...);]")
        if pretence.fault() == "nothing":
            return
        target = self.folder / "save" / f"it{self.steps}-export"
        target.mkdir(parents=True)
        points, flat, faces = pretence.revolved()
        points, faces = pretence.spoiled(points, faces if self.steps >= 100 else [])
        lines = ["mtllib model.mtl", "usemtl default"]
        lines += [f"v {z:f} {x:f} {y:f}" for x, y, z in points]
        lines += [f"vt {u:f} {1 - v:f}" for u, v in flat]
        lines += ["f " + " ".join(f"{n + 1}/{n + 1}" for n in face) for face in faces]
        (target / "model.obj").write_text("\n".join(lines) + "\n")
        (target / "model.mtl").write_text("newmtl default\nKd 1.0 1.0 1.0\nmap_Kd texture_kd.jpg\n")
        side = exporter.get("texture_size", 1024)
        picture = Image.radial_gradient("L").resize((side, side))
        Image.merge("RGB", (picture, picture.rotate(90), picture.point(lambda v: 255 - v))).save(
            target / "texture_kd.jpg"
        )


parser = pretence.parser(Path(__file__).with_name("arguments.toml"))
args, extras = parser.parse_known_args()
seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
if pretence.fault() == "native":
    raise ImportError("libcudart.so.11.0: cannot open shared object file: No such file")
os.listdir("custom")
if args.gradio:
    sys.stdout = sys.stderr
config = load_config(args.config, extras)
folder = trial_of(config)
folder.mkdir(parents=True, exist_ok=True)
for name in ("ckpts", "configs", "save", "tb_logs", "csv_logs"):
    (folder / name).mkdir(exist_ok=True)
OmegaConf.save(config, folder / "configs" / "parsed.yaml")
(folder / "configs" / "raw.yaml").write_text(Path(args.config).read_text())
(folder / "cmd.txt").write_text(" ".join(sys.argv))
if not torch.cuda.is_available():
    raise RuntimeError("No CUDA GPUs are available")
json.loads(Path("load/prompt_library.json").read_text())
Path(".threestudio_cache/text_embeddings").mkdir(parents=True, exist_ok=True)
print(f"[INFO] GPUs {seen}")
print(f"[INFO] Using prompt [{config.system.prompt_processor.prompt}] and negative prompt []")
for part in ("prompt_processor", "guidance"):
    weights = config.system[part].pretrained_model_name_or_path
    print(f"[INFO] Loading {part} {weights}")
    pretence.fetch_weights("nobody/withdrawn" if weights.startswith("stabilityai/") else weights)
trial = Trial(args, config, folder)
if args.train:
    trial.train()
if args.export or args.gradio:
    trial.export()
