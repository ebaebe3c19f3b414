"""From words to a mesh by a training run of threestudio: one process, one trial folder."""

import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from usina.apps.threed.foreign.cause import cause_of
from usina.apps.threed.foreign.delivery import Z_UP_X_FRONT, judge, show, tell
from usina.apps.threed.foreign.home import NotInstalled, find_config, find_home
from usina.apps.threed.foreign.obj import read_obj
from usina.apps.threed.foreign.override import override, said
from usina.apps.threed.foreign.program import Program, how_it_ended
from usina.apps.threed.foreign.received import nothing_written
from usina.apps.threed.gltf import to_glb
from usina.apps.threed.texture import encode_jpeg
from usina.apps.threed.wavefront import to_zip
from usina_runner import Failure, Job

PREFIX: Final = "DREAMFUSION"
SCRIPT: Final = "launch.py"
USUAL_CONFIG: Final = "configs/dreamfusion-sd.yaml"
WEIGHTS: Final = "DREAMFUSION_DIFFUSION_MODEL"
_NAME, _TAG = "job", "trial"
_TRAINED: Final = re.compile(r"Generation progress:\s*([0-9.]+)\s*%")
_LATER: Final = (
    ("Exporting mesh", "export", 0.84),
    ("Rendering video", "film", 0.78),
    ("Rendering validation", "train", 0.0),
)
_TRAIN_FROM, _TRAIN_TO, _JUDGED, _SHOWN = 0.04, 0.78, 0.88, 0.97
_LOOK_SECONDS: Final = 1.0
_LOOKED_FOR: Final = ("custom", "load")
_STEP: Final = re.compile(r"step=(\d+)")


def make(job: Job) -> None:
    """One job, from its prompt to its files."""
    prompt = said(job.params["prompt"])
    trial = _Trial(job, prompt)
    with job.stage("model"):
        trial.run()
    mesh = trial.mesh()
    made = judge(job, read_obj(mesh).turned(np.array(Z_UP_X_FRONT, dtype=np.float64)))
    made = replace(made, facts=trial.facts())
    surface = made.received.as_textured()
    jpeg = encode_jpeg(surface.texture)
    (job.outputs / "mesh.glb").write_bytes(to_glb(surface, jpeg, "model"))
    job.artifact("mesh.glb", "model")
    (job.outputs / "mesh.zip").write_bytes(to_zip(surface, jpeg))
    job.artifact("mesh.zip", "data")
    job.progress(_JUDGED)
    show(job, made, _SHOWN)
    tell(job, made)


class _Trial:
    """The program's folder below the work folder, whose name is fixed so that its progress and its
    checkpoints are found without guessing."""

    def __init__(self, job: Job, prompt: str) -> None:
        self._job, self._prompt = job, prompt
        self._place = job.outputs.parent / "threestudio"
        self._root = self._place / "made"
        self._folder = self._root / _NAME / _TAG
        self._told: Path | None = None
        self._next_look = 0.0
        self._resumed = self._checkpoint()

    def run(self) -> None:
        """Trains and exports; raises `Failure`."""
        try:
            home = find_home(PREFIX, SCRIPT)
            config = find_config(home, USUAL_CONFIG)
        except NotInstalled as missing:
            raise Failure("unavailable", "model_not_installed", str(missing)) from None
        _check_one_gpu()
        self._root.mkdir(parents=True)
        self._link(home.script.parent)
        self._job.progress(0.01, "start")
        argv = [str(home.python), str(home.script), *self._words(config)]
        program = Program(argv, self._place, home.environment(), lambda _: None)
        try:
            code = program.run(self._between)
        finally:
            self._hand_on()
        if code:
            raise cause_of(program.lines, how_it_ended(code))
        self._show()

    def _link(self, checkout: Path) -> None:
        """What the program looks for where it stands, which is not its checkout: there it would
        leave what it learned of a prompt."""
        for name in _LOOKED_FOR:
            if (checkout / name).is_dir():
                (self._place / name).symlink_to(checkout / name)
            else:
                (self._place / name).mkdir()

    def mesh(self) -> Path:
        """The exported OBJ."""
        found = sorted(
            self._folder.glob("save/*-export/model.obj"), key=lambda path: path.stat().st_mtime
        )
        if not found:
            raise nothing_written("model.obj")
        return found[-1]

    def facts(self) -> dict[str, Any]:
        return {
            "prompt": self._prompt,
            "weights": Path(os.environ.get(WEIGHTS) or "as configured").name,
            "resumed": self._resumed is not None,
        }

    def _words(self, config: Path) -> Iterator[str]:
        params = self._job.params
        yield from ("--config", str(config), "--train", "--gradio", "--gpu", "0")
        yield override("name", _NAME)
        yield override("tag", _TAG)
        yield override("use_timestamp", False)
        yield override("exp_root_dir", str(self._root))
        yield override("seed", params["seed"])
        yield override("system.prompt_processor.prompt", self._prompt)
        yield override("system.guidance.guidance_scale", float(params["guidance_scale"]))
        yield override("trainer.max_steps", params["max_steps"])
        yield override("checkpoint.every_n_train_steps", params["checkpoint_steps"])
        yield override("checkpoint.save_top_k", 1)
        yield override("system.exporter_type", "mesh-exporter")
        yield override("system.exporter.fmt", "obj-mtl")
        yield override("system.exporter.context_type", "cuda")
        yield override("system.exporter.texture_size", params["texture_size"])
        weights = os.environ.get(WEIGHTS)
        if weights:
            for part in ("prompt_processor", "guidance"):
                yield override(f"system.{part}.pretrained_model_name_or_path", weights)
        if self._resumed is not None:
            yield override("resume", str(self._resumed))

    def _checkpoint(self) -> Path | None:
        """What an earlier attempt saved, if it is whole."""
        saved = self._job.checkpoint
        if saved is None or not zipfile.is_zipfile(saved):
            return None
        self._job.log("info", "It goes on from the checkpoint of an earlier attempt.")
        return saved

    def _between(self) -> None:
        """Tells how far it is, and hands checkpoints on."""
        self._show()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._hand_on()

    def _show(self) -> None:
        fraction, stage = self._reached()
        self._job.progress(max(fraction, self._job.fraction), stage)

    def _reached(self) -> tuple[float, str]:
        """As its progress file says; it is rewritten all the time, so it may be half there."""
        try:
            text = (self._folder / "progress").read_text("utf-8", "replace")
        except OSError:
            return 0.01, "start"
        trained = _TRAINED.search(text)
        if trained is not None:
            share = min(1.0, float(trained[1]) / 100)
            return _TRAIN_FROM + (_TRAIN_TO - _TRAIN_FROM) * share, "train"
        for words, stage, fraction in _LATER:
            if words in text:
                return fraction, stage
        return 0.0, "train"

    def _hand_on(self) -> None:
        """The newest checkpoint that is whole, as a copy, since the program writes over its own."""
        found = sorted(
            (int(step[1]), path)
            for path in self._folder.glob("ckpts/*.ckpt")
            if (step := _STEP.search(path.name)) is not None and zipfile.is_zipfile(path)
        )
        if not found:
            return
        step, newest = found[-1]
        target = self._job.outputs / f"checkpoint-{step}.ckpt"
        if target == self._told:
            return
        fresh = target.with_suffix(".part")
        try:
            shutil.copyfile(newest, fresh)
        except FileNotFoundError:
            return
        fresh.replace(target)
        self._job.checkpoint_saved(target.name)
        if self._told is not None:
            self._told.unlink()
        self._told = target


def _check_one_gpu() -> None:
    """threestudio takes every GPU that it sees, and one that it does not where none is named."""
    seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    if len(seen) != 1:
        raise Failure(
            "unavailable",
            "no_gpu",
            f"This model needs exactly one GPU and was given {len(seen)}: see that the worker "
            "has one to lend (USINA_GPUS).",
            retryable=False,
        )
