"""The painter: a diffusers pipeline in a Python of its own, which knows nothing of the platform.

    python paint.py FOLDER

Standard input and output are lines of JSON. Out: ``{"loaded": facts}`` once; then for each picture
``{"step": n, "steps": m}`` after every step and ``{"done": number}``, or ``{"failed": {code,
reason, message, retryable}}``. In: an order (``number``, ``photo`` and ``painted``, two files, and
the values of `main.paint`), or ``{"stop": number}``. The end of standard input is the end.
"""

import json
import os
import re
import select
import sys
import traceback
from pathlib import Path

HALF_WEIGHTS = "fp16"
FACE_WEIGHT = 0.5
SIDE = 512


class Stopped(Exception):
    """The picture is not wanted any more."""


class Fault(Exception):
    """It failed for a known cause."""

    def __init__(self, code, reason, message, retryable=None):
        super().__init__(message)
        self.told = {"code": code, "reason": reason, "message": message, "retryable": retryable}


class Line:
    """Messages, out and in. What libraries print goes to standard error, which is the log."""

    def __init__(self):
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._waiting = b""

    def say(self, **message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def next(self):
        """The next message, however long it takes; null at the end."""
        while b"\n" not in self._waiting:
            data = os.read(0, 65536)
            if not data:
                return None
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return json.loads(line)

    def stopped(self, number):
        """Whether this picture is to be left. At the end of the input the program ends."""
        while b"\n" in self._waiting or select.select([0], [], [], 0)[0]:
            message = self.next()
            if message is None:
                os._exit(0)
            if message.get("stop") == number:
                return True
        return False


def load(folder):
    """The pipeline of a folder on the best device there is; nothing is looked up anywhere else."""
    import torch
    from diffusers import AutoPipelineForImage2Image

    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"dtype": kind_of_numbers(torch, device), **only_here(folder)}
    if lacks_filter(folder):
        options["safety_checker"] = None
    if (folder / "controlnet" / "config.json").is_file():
        from diffusers import ControlNetModel

        control = ControlNetModel.from_pretrained(
            str(folder / "controlnet"), **{**options, **only_here(folder / "controlnet")}
        )
        options["controlnet"] = control
    pipe = AutoPipelineForImage2Image.from_pretrained(str(folder), **options)
    if adapter := face_adapter(folder):
        pipe.load_ip_adapter(
            str(folder / "ip-adapter"),
            subfolder="",
            weight_name=adapter,
            image_encoder_folder="image_encoder",
            local_files_only=True,
        )
        pipe.set_ip_adapter_scale(FACE_WEIGHT)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def kind_of_numbers(torch, device):
    """Half precision on a graphics card, unless ``STABLE_DIFFUSION_DTYPE`` says otherwise."""
    name = os.environ.get("STABLE_DIFFUSION_DTYPE") or (
        "float16" if device == "cuda" else "float32"
    )
    if name not in ("float16", "bfloat16", "float32"):
        raise Fault(
            "unavailable",
            "model_not_installed",
            "STABLE_DIFFUSION_DTYPE is float16, bfloat16 or float32.",
            False,
        )
    return getattr(torch, name)


def only_here(folder):
    """Options that keep loading on this disk, to weights that can hide no program."""
    options = {"local_files_only": True, "use_safetensors": True}
    weights = [path.name for path in folder.rglob("*.safetensors")]
    if weights and all(f".{HALF_WEIGHTS}." in name for name in weights):
        options["variant"] = HALF_WEIGHTS
    return options


def lacks_filter(folder):
    """Whether the pipeline names a safety filter that was left out of its folder."""
    named = json.loads((folder / "model_index.json").read_bytes()).get("safety_checker")
    return bool(named and named[0]) and not (folder / "safety_checker").is_dir()


def face_adapter(folder):
    """The file of an IP-Adapter, where the folder has one."""
    return next((path.name for path in sorted((folder / "ip-adapter").glob("*.safetensors"))), None)


def facts(pipe, folder):
    """What a report may tell, and at what size this model paints best."""
    import diffusers
    import torch

    network = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    cells = getattr(getattr(network, "config", None), "sample_size", None)
    side = cells * getattr(pipe, "vae_scale_factor", 8) if isinstance(cells, int) else SIDE
    return {
        "pipeline": type(pipe).__name__,
        "device": pipe.device.type,
        "numbers": str(pipe.dtype).rpartition(".")[2],
        "diffusers": diffusers.__version__,
        "torch": torch.__version__,
        "face_adapter": face_adapter(folder) or "none",
        "side": min(max(side, 64), 1536),
    }


def paint(pipe, line, order, adapted):
    """One picture, from the file ``photo`` to the file ``painted``."""
    import numpy
    import torch
    from PIL import Image

    torch.set_num_threads(order["cores"])
    with Image.open(order["photo"]) as file:
        photo = file.convert("RGB")

    def stepped(pipe, step, _, values):
        if line.stopped(order["number"]):
            raise Stopped
        line.say(step=step + 1, steps=pipe.num_timesteps)
        return values

    more = {"ip_adapter_image": photo} if adapted else {}
    if hasattr(pipe, "controlnet"):
        more["control_image"] = edges(photo)
    made = pipe(
        prompt=order["prompt"],
        negative_prompt=order["negative_prompt"],
        image=photo,
        strength=order["strength"],
        num_inference_steps=order["rounds"],
        guidance_scale=order["guidance_scale"],
        generator=torch.Generator("cpu").manual_seed(order["seed"]),
        callback_on_step_end=stepped,
        output_type="np",
        **more,
    )
    if any(getattr(made, "nsfw_content_detected", None) or []):
        raise Fault(
            "invalid_input",
            "picture_withheld",
            "The model's safety filter withheld the picture; try another prompt or seed.",
        )
    pixels = made.images[0]
    if not numpy.isfinite(pixels).all():
        raise Fault(
            "runner_failed",
            "picture_not_finite",
            "The model got numbers that are none. Set STABLE_DIFFUSION_DTYPE=float32.",
            False,
        )
    Image.fromarray((pixels * 255).round().astype("uint8")).save(order["painted"], compress_level=1)


def edges(photo):
    """The outlines of the photo, white on black, as a ControlNet for edges wants them."""
    from PIL import Image, ImageFilter

    soft = photo.convert("L").filter(ImageFilter.GaussianBlur(1.5))
    found = soft.filter(ImageFilter.FIND_EDGES).point(lambda value: 255 if value > 24 else 0)
    return Image.merge("RGB", (found, found, found))


def fault_of(error):
    """What is told of an error: a known cause as it is, any other by its name."""
    if isinstance(error, Fault):
        return error.told
    traceback.print_exc()
    text = " ".join(str(error).split())[:300]
    if (
        isinstance(error, MemoryError)
        or "OutOfMemory" in type(error).__name__
        or (isinstance(error, RuntimeError) and "allocate memory" in text)
    ):
        message = "The model needs more memory than there is; ask for a smaller paint_size."
        return Fault("out_of_memory", "painter_out_of_memory", message).told
    reason = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()
    return Fault("runner_failed", reason, text or type(error).__name__).told


def main(folder):
    line = Line()
    try:
        pipe = load(folder)
        line.say(loaded=facts(pipe, folder))
    except Exception as error:
        line.say(failed=fault_of(error))
        sys.exit(1)
    adapted = face_adapter(folder) is not None
    while (order := line.next()) is not None:
        if "photo" not in order:
            continue
        try:
            paint(pipe, line, order, adapted)
            line.say(done=order["number"])
        except Stopped:
            line.say(done=order["number"])
        except Exception as error:
            line.say(failed=fault_of(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
