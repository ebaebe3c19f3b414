"""What the platform adds to a foreign model, measured on the stand-in of Stable Fast 3D: a job from
its submission over HTTP to its end, over the bare program in the same run. The platform is a
process of its own, and the caller a lean one, so that it is not measured. What the wrapper does
beside the model (decoding the picture, judging the mesh, drawing it, reporting) is told apart: the
bare program does nothing of the kind. Then what it saves to keep a model loaded, with a stand-in
that pretends to import and load as long as `SECONDS` says: its own times, not those of the model.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from tests.models.workshop import BEAR, at_home, program

from benchmarks.embedded import Embedded, finished, platform
from usina.apps.threed.foreign.home import find_home

WARM_MOST_MS: Final = 10.0
COLD_MOST_MS: Final = 100.0
SECONDS: Final = {"import": 4.0, "load": 3.0, "compute": 0.5}
_ROUNDS: Final = 20
_PARAMS: Final = {"texture_resolution": 512}
_MEMORY_BYTES: Final = 32 * 1024**3


@dataclass(frozen=True, slots=True)
class Pair:
    """Milliseconds of one job and of the bare program, and of what the wrapper makes beside it."""

    job: float
    bare: float
    own: float

    @property
    def added(self) -> float:
        return self.job - self.bare - self.own


async def _job(server: Embedded, image: str) -> tuple[float, dict[str, Any]]:
    """Milliseconds, and what its report says of its seconds."""
    submission = {"model": "sf3d-v1", "inputs": {"image": image}, "params": _PARAMS}
    async with server.connection() as connection:
        began = time.perf_counter()
        ended = await finished(connection, submission)
        spent = (time.perf_counter() - began) * 1000
        (found,) = (each for each in ended["artifacts"] if each["name"] == "report.json")
        _, report = await connection.request("GET", f"/api/v1/artifacts/{found['id']}/content")
    return spent, report["seconds"]


class _Bare:
    """The model without a platform: its script, or what stays loaded asked directly."""

    def __init__(self, folder: Path) -> None:
        self._model, self._home = program("sf3d")["MODEL"], find_home("SF3D", "run.py")
        self._folder, self._number = folder, 0
        self._keeper = self._model.keeper()
        defaults = {"foreground_ratio": 0.85, "remesh_option": "none", "target_vertex_count": -1}
        self._params = self._model.settled({**defaults, **_PARAMS, "device": "cuda"})

    def once(self) -> float:
        self._number += 1
        out = self._folder / str(self._number)
        began = time.perf_counter()
        if self._keeper is None:
            argv = self._model.argv(self._home, self._params, BEAR, out)
            subprocess.run(argv, check=True, capture_output=True)
        else:
            options = {name: self._params[name] for name in ("pretrained_model", "device")}
            order = {"params": self._params, "image": str(BEAR), "out": str(out)}
            self._keeper.make(self._home, options, {}, order, lambda _: None, lambda: None)
        return (time.perf_counter() - began) * 1000

    def end(self) -> None:
        if self._keeper is not None:
            self._keeper.end()


@contextmanager
def _installed(folder: Path, kept: bool, **seconds: float) -> Generator[None]:
    """The stand-in, named as an operator names a model, to this process and what it starts."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        at_home(patch, "sf3d", folder, **seconds)
        patch.setenv("SF3D_KEEP_LOADED", str(kept))
        patch.setenv("USINA_GPUS", "GPU-0,")
        patch.setenv("USINA_MEMORY_BYTES", str(_MEMORY_BYTES))
        yield


async def _pairs(folder: Path, kept: bool, rounds: int, **seconds: float) -> list[Pair]:
    """The first of each, which starts everything, is left out."""
    pairs: list[Pair] = []
    with _installed(folder, kept, **seconds), platform() as server:
        bare, image = _Bare(folder / "bare"), server.send(BEAR)
        for number in range(rounds + 1):
            job, told = await _job(server, image)
            pair = Pair(job, bare.once(), 1000 * (told["total"] - told["model"]))
            if number:
                pairs.append(pair)
        bare.end()
    return pairs


def _told(name: str, pairs: list[Pair], most: float) -> bool:
    job, bare, own, added = (
        statistics.median(getattr(pair, part) for pair in pairs)
        for part in ("job", "bare", "own", "added")
    )
    _say(
        f"{name}: a job {job:.1f} ms = the bare program {bare:.1f} + decoding, judging, drawing "
        f"and telling {own:.1f} + the platform {added:.1f} (aim at most {most:g})"
    )
    return added > most


def _say(words: str) -> None:
    """Past what programs and the platform print meanwhile."""
    print(words, file=sys.__stdout__, flush=True)


async def _main(folder: Path) -> int:
    missed = _told("kept loaded", await _pairs(folder / "w", True, _ROUNDS), WARM_MOST_MS)
    missed |= _told("run anew   ", await _pairs(folder / "c", False, _ROUNDS), COLD_MOST_MS)
    slow: list[float] = []
    for name, kept in (("sw", True), ("sc", False)):
        pairs = await _pairs(folder / name, kept, 3, **SECONDS)
        slow.append(statistics.median(pair.job - pair.own for pair in pairs))
    told = ", ".join(f"{spent:g} s to {what}" for what, spent in SECONDS.items())
    _say(
        f"of a stand-in that takes {told}, without drawing: kept loaded {slow[0]:.0f} ms, run anew "
        f"{slow[1]:.0f} ms, {slow[1] / slow[0]:.1f} times as long"
    )
    return int(missed)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            return uvloop.run(_main(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
