"""From a picture to a mesh by a foreign model: its script once for each job, or kept loaded."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from usina.apps.threed.foreign.cause import cause_of
from usina.apps.threed.foreign.delivery import AS_IT_IS, Turn, judge, show, tell
from usina.apps.threed.foreign.glb import read_glb
from usina.apps.threed.foreign.home import Home, NotInstalled, find_home
from usina.apps.threed.foreign.keeper import Keeper
from usina.apps.threed.foreign.obj import read_obj
from usina.apps.threed.foreign.program import Program, how_it_ended
from usina.apps.threed.foreign.received import Received, nothing_written
from usina.imaging.picture import Picture, open_picture
from usina_runner import Failure, Job

_PICTURE_SIDE: Final = 2048
"""Models look at far fewer pixels."""

_DEVICE: Final = re.compile(r"Device used:\s+(\S+)")
_PEAK: Final = re.compile(r"Peak Memory:\s*([0-9.]+) MB")
_MIB: Final = 1024 * 1024
_JUDGED, _SHOWN = 0.82, 0.97

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the model is at when its script prints ``words``, and how far the job is then."""

    name: str
    fraction: float
    words: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class ImageModel:
    """``prefix`` is that of its variables; ``flags`` are the options of its script by parameter;
    ``fixed`` are words that stand with them; ``devices`` what it calls them; ``adapter`` what
    `server` loads, if it can stay loaded, and ``loaded_by`` the parameters that this depends on;
    ``weights`` what it takes unless told otherwise.
    ``mesh`` is the name of its file, ``beside`` the kinds of others that are handed on. Its GLB
    goes out as it is, unless it is ``rewritten``: with its ``front`` towards +z, as glTF asks."""

    prefix: str
    weights: str
    flags: Mapping[str, str]
    stages: tuple[Stage, ...]
    front: Turn
    adapter: Path | None = None
    loaded_by: tuple[str, ...] = ("pretrained_model", "device")
    fixed: Callable[[Params], tuple[str, ...]] = lambda params: ()
    mesh: Callable[[Params], str] = lambda params: "mesh.glb"
    rewritten: bool = False
    beside: Mapping[str, str] = field(default_factory=dict[str, str])
    devices: Mapping[str, str] = field(default_factory=lambda: {"cuda": "cuda", "cpu": "cpu"})

    def keeper(self) -> Keeper | None:
        """Called once in each process; none where every job starts the script."""
        return Keeper(self.adapter) if self.adapter is not None and self.keeps() else None

    def main(self, job: Job, keeper: Keeper | None) -> None:
        """One job; a result of the model is judged before it is believed."""
        made = _Run(self, job, keeper)
        received = made.received()
        if self.rewritten:
            received = received.turned(np.array(self.front, dtype=np.float64))
        product = replace(
            judge(job, received),
            front=AS_IT_IS if self.rewritten else self.front,
            facts=made.facts(),
            notices=made.picture.notices,
        )
        if self.rewritten:
            (job.outputs / "mesh.glb").write_bytes(product.received.as_glb())
        else:
            shutil.copyfile(made.mesh, job.outputs / "mesh.glb")
        job.artifact("mesh.glb", "model")
        made.hand_on_beside()
        job.progress(_JUDGED)
        show(job, product, _SHOWN)
        tell(job, product)

    def argv(self, home: Home, params: Params, picture: Path, out: Path) -> list[str]:
        """``--flag=value`` throughout, so that no value can be taken for an option."""
        told = [
            str(home.python),
            str(home.script),
            str(picture),
            f"--output-dir={out}",
            *self.fixed(params),
        ]
        for name, flag in self.flags.items():
            value = params[name]
            if isinstance(value, bool):
                told += [flag] if value else []
            else:
                told.append(f"{flag}={value}")
        return told

    def settled(self, params: Params) -> dict[str, Any]:
        """The parameters with the weights named, which the operator may have put elsewhere."""
        told = os.environ.get(f"{self.prefix}_PRETRAINED_MODEL") or self.weights
        device = self.devices[params["device"]]
        return {
            **params,
            "pretrained_model": params.get("pretrained_model", told),
            "device": device,
        }

    def keeps(self) -> bool:
        """Whether the operator lets it stay loaded."""
        told = os.environ.get(f"{self.prefix}_KEEP_LOADED", "")
        return told.lower() not in ("0", "false", "no", "off")


class _Run:
    """The model's part of a job."""

    def __init__(self, model: ImageModel, job: Job, keeper: Keeper | None) -> None:
        self._model, self._job, self._keeper = model, job, keeper
        self._params = model.settled(job.params)
        self._out = job.outputs.parent / "made"
        self._hearing = _Hearing(model.stages)
        self._loaded = False
        with job.stage("decode", upto=0.02):
            self.picture = open_picture(job.inputs["image"][0], side=_PICTURE_SIDE)
            picture = job.outputs.parent / "picture.png"
            _write_picture(self.picture, picture)
        self.mesh.parent.mkdir(parents=True)
        self._make(picture)

    @property
    def mesh(self) -> Path:
        return self._out / "0" / self._model.mesh(self._params)

    def received(self) -> Received:
        if not self.mesh.is_file():
            raise nothing_written(self.mesh.name)
        return read_glb(self.mesh) if self.mesh.suffix == ".glb" else read_obj(self.mesh)

    def hand_on_beside(self) -> None:
        for name, kind in self._model.beside.items():
            if (self.mesh.parent / name).is_file():
                shutil.copyfile(self.mesh.parent / name, self._job.outputs / name)
                self._job.artifact(name, kind)

    def facts(self) -> dict[str, Any]:
        peak = self._hearing.peak_mib
        return {
            "weights": Path(self._params["pretrained_model"]).name
            if Path(self._params["pretrained_model"]).is_absolute()
            else self._params["pretrained_model"],
            "device": self._hearing.device or self._params["device"],
            "kept_loaded": self._loaded,
            "gpu_peak_bytes": None if peak is None else round(peak * _MIB),
        }

    def _make(self, picture: Path) -> None:
        try:
            home = find_home(self._model.prefix, "run.py")
        except NotInstalled as missing:
            raise Failure("unavailable", "model_not_installed", str(missing)) from None
        cpu = self._params["device"] == "cpu"
        more = {f"{self._model.prefix}_USE_CPU": "1"} if cpu else {}
        with self._job.stage("model"):
            if self._keeper is None:
                self._start(home, more, picture)
            else:
                self._ask(self._keeper, home, more, picture)
        if self._hearing.peak_mib is not None:
            self._job.metric("gpu_peak_bytes", round(self._hearing.peak_mib * _MIB))

    def _start(self, home: Home, more: Mapping[str, str], picture: Path) -> None:
        """The script, once, for this job."""
        self._hearing.reach("start")
        argv = self._model.argv(home, self._params, picture, self._out)
        program = Program(argv, picture.parent, home.environment(more), self._hearing.hear)
        code = program.run(self._between)
        self._between()
        if code:
            raise cause_of(program.lines, how_it_ended(code))

    def _ask(self, keeper: Keeper, home: Home, more: Mapping[str, str], picture: Path) -> None:
        """The model that stays loaded."""
        options = {name: self._params[name] for name in self._model.loaded_by}
        self._loaded = keeper.ready(options)
        order = {"params": self._params, "image": str(picture), "out": str(self._out)}
        done = keeper.make(home, options, more, order, self._hearing.reach, self._between)
        self._hearing.device = done.get("device")
        self._hearing.peak_mib = done.get("peak_memory_mb")
        self._between()

    def _between(self) -> None:
        """Tells how far the model is; raises where it runs on what was not asked for."""
        wanted, used = self._params["device"], self._hearing.device
        if used is not None and not used.startswith(wanted.partition(":")[0]):
            raise Failure(
                "unavailable",
                "no_gpu",
                f"The model would run on {used}, not on {wanted}: it found no GPU that it can use. "
                "Look at the driver, and at whether its PyTorch is built for CUDA.",
                retryable=False,
            )
        fraction, name = self._hearing.now
        self._job.progress(max(fraction, self._job.fraction), name)


class _Hearing:
    """What a script's words mean; heard on one thread, asked on another."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._lock = threading.Lock()
        self._now = stages[0]
        self.device: str | None = None
        self.peak_mib: float | None = None

    @property
    def now(self) -> tuple[float, str]:
        with self._lock:
            return self._now.fraction, self._now.name

    def reach(self, name: str) -> None:
        with self._lock:
            stage = self._stages[name]
            if stage.fraction >= self._now.fraction:
                self._now = stage

    def hear(self, line: str) -> None:
        if device := _DEVICE.search(line):
            self.device = device[1]
        if peak := _PEAK.search(line):
            self.peak_mib = float(peak[1])
        for stage in self._stages.values():
            if stage.words is not None and stage.words.search(line):
                self.reach(stage.name)


def _write_picture(picture: Picture, target: Path) -> None:
    """As a plain PNG under a plain name: the model's decoder never sees the caller's bytes."""
    pixels = picture.rgb
    if picture.alpha is not None:
        pixels = np.dstack([picture.rgb, picture.alpha])
    Image.fromarray(pixels).save(target, compress_level=1)
