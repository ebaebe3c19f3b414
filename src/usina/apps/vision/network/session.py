"""ONNX Runtime with its types stated: a file opened on the best that this machine has."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from usina.apps.vision.network.fault import Unusable
from usina.imaging.array import Anything, Field32

_runtime = cast("Any", onnxruntime)

PROVIDERS: Final[Mapping[str, str]] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""What `DETECTION_PROVIDER` may name."""

_USUAL: Final = ("cuda", "openvino", "cpu")
"""By preference. TensorRT builds its engine for minutes, so it is only taken when it is named."""

_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

_SPIN_MICROSECONDS: Final = 100
"""So long a thread looks for its next piece of a network before it sleeps. Sleeping at once costs
a picture that comes alone more than half as much again, since the kernel wakes threads late and on
one core; looking for a millisecond takes the cores from other jobs."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output; a size that the file leaves open is None."""

    name: str
    shape: tuple[int | None, ...]
    kind: str

    @property
    def words(self) -> str:
        sizes = " x ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({sizes or 'one number'}, {self.kind})"


class Session:
    """A network that is ready; ``provider`` is the one in force, as ONNX Runtime names it."""

    def __init__(self, path: Path, cores: int) -> None:
        self._session = _opened(path, cores)
        self.inputs = _ports(self._session.get_inputs())
        self.outputs = _ports(self._session.get_outputs())
        self.metadata: dict[str, str] = dict(
            self._session.get_modelmeta().custom_metadata_map or {}
        )
        self.provider = str(self._session.get_providers()[0])
        self._names = [port.name for port in self.outputs]

    def run(self, feeds: Mapping[str, Anything]) -> list[Field32]:
        """Every output in 32 bits; raises ``Unusable`` where the network fails."""
        try:
            answers: Sequence[Any] = self._session.run(self._names, dict(feeds))
        except Exception as error:
            if "alloc" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise Unusable("model_fails", f"The network fails: {_short(error)}") from error
        return [np.asarray(answer).astype(np.float32, copy=False) for answer in answers]


def number_type(port: Port) -> type[np.floating[Any]]:
    """That of the pictures which an input takes; raises ``Unusable`` for another than 32 or 16
    bits."""
    if port.kind not in _TYPES:
        raise Unusable(
            "model_not_served",
            f"The network takes its picture as {port.words}; float and float16 are served. Export "
            "it with float inputs.",
        )
    return _TYPES[port.kind]


def _opened(path: Path, cores: int) -> Any:
    options = _runtime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_MICROSECONDS))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    _runtime.set_default_logger_severity(4)
    try:
        return _runtime.InferenceSession(str(path), options, providers=_wanted(cores))
    except Unusable:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise Unusable(
            "model_unreadable",
            f"{path.name} cannot be opened as ONNX: {_short(error)} Copy or export it again.",
        ) from error


def _wanted(cores: int) -> list[tuple[str, dict[str, str]]]:
    """The providers to try in turn, each with its options."""
    told = {PROVIDERS["openvino"]: {"num_of_threads": str(cores)}}
    return [(name, told.get(name, {})) for name in _by_preference()]


def _by_preference() -> list[str]:
    """The one that `DETECTION_PROVIDER` names, or all by preference; the CPU last."""
    there = set(cast("list[str]", _runtime.get_available_providers()))
    named = os.environ.get("DETECTION_PROVIDER") or "auto"
    if named == "auto":
        return [PROVIDERS[name] for name in _USUAL if PROVIDERS[name] in there]
    if PROVIDERS.get(named) not in there:
        known = ", ".join(name for name, provider in PROVIDERS.items() if provider in there)
        raise Unusable(
            "provider_missing",
            f"DETECTION_PROVIDER is {named!r}; the ONNX Runtime that is here has auto, {known}.",
        )
    return list(dict.fromkeys([PROVIDERS[named], PROVIDERS["cpu"]]))


def _ports(told: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(
        Port(
            str(each.name),
            tuple(size if isinstance(size, int) and size > 0 else None for size in each.shape),
            str(each.type),
        )
        for each in told
    )


def _short(error: Exception) -> str:
    """What the library said, without its own prefix and the path of the machine."""
    words = str(error).splitlines()[0].rpartition(" : ")[2] if str(error) else ""
    return (words.rpartition("/")[2] or type(error).__name__)[:200].rstrip(".") + "."
