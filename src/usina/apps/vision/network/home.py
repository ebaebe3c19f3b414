"""The file that `YOLO_MODEL_PATH` names, looked at before any library opens it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.apps.vision.network.fault import Unusable

SETTING: Final = "YOLO_MODEL_PATH"
NAMES_FILE: Final = "names.txt"

_EXPORT: Final = "yolo export model={name} format=onnx dynamic=True"
_CHECKPOINTS: Final = (".pt", ".pth", ".ckpt", ".safetensors")
_OTHERS: Final = {
    ".engine": "a TensorRT engine",
    ".torchscript": "TorchScript",
    ".tflite": "TensorFlow Lite",
    ".xml": "OpenVINO's own form",
    ".pb": "TensorFlow's own form",
}
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``names`` is the file beside it with a class name in each line; ``stamp`` changes with the
    file."""

    path: Path
    names: Path | None
    stamp: tuple[int, int, int]

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()


def find_model() -> ModelFile:
    """The file, or the one ``.onnx`` file of the folder, that the setting names; raises
    ``Unusable``, with what to do."""
    told = os.environ.get(SETTING)
    if not told:
        raise Unusable(
            "model_not_installed",
            f"No detector is installed: set {SETTING} to an ONNX file, or to a folder with one.",
        )
    path = Path(told)
    try:
        path = _only_one(path) if path.is_dir() else path
        state = path.stat()
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise Unusable(
            "model_not_installed", f"{SETTING} names {path.name}: {error.strerror}."
        ) from error
    _check(path, head)
    names = path.parent / NAMES_FILE
    beside = names if Path(told).is_dir() and names.is_file() else None
    return ModelFile(path, beside, (state.st_mtime_ns, state.st_size, state.st_ino))


def _only_one(folder: Path) -> Path:
    found = sorted(folder.glob("*.onnx"))
    if len(found) != 1:
        raise Unusable(
            "model_not_installed",
            f"{SETTING} names a folder with {len(found)} .onnx files; it needs exactly one.",
        )
    return found[0]


def _check(path: Path, head: bytes) -> None:
    """Not what people often have in place of an ONNX file."""
    if path.suffix in _CHECKPOINTS or head.startswith((b"PK\3\4", b"\x80\2", b"\x80\4")):
        raise Unusable(
            "model_not_onnx",
            f"{path.name} is a checkpoint of PyTorch, not an ONNX file. Export it where it was "
            f"trained: {_EXPORT.format(name=path.name)}",
        )
    if path.suffix in _OTHERS:
        raise Unusable(
            "model_not_onnx",
            f"{path.name} is {_OTHERS[path.suffix]}, not an ONNX file. Export the model as ONNX.",
        )
    if not head:
        raise Unusable("model_unreadable", f"{path.name} is empty.")
