"""A detector out of an ONNX file: what it is, how it is shown a picture, what it finds."""

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from usina.apps.vision.detection import Detection
from usina.apps.vision.network.candidate import Candidates, finite, suppressed
from usina.apps.vision.network.family import Family, Trial, recognise
from usina.apps.vision.network.fault import Unusable
from usina.apps.vision.network.fit import Canvas, Place, Sight, fitting, fixed
from usina.apps.vision.network.home import ModelFile
from usina.apps.vision.network.names import Names, assumed_names, literal, told_names
from usina.apps.vision.network.session import Port, Session, number_type
from usina.imaging.array import Anything, Bytes

USUAL_SIZE: Final = 640
USUAL_STRIDE: Final = 32

_LARGEST_SIDE: Final = 4096
_SIZES: Final = "orig_target_sizes"
_TRIED: Final = Sight("stretch")


@dataclass(frozen=True, slots=True)
class _Entry:
    """The picture that a network takes. ``width`` and ``height`` are None where the file leaves
    them open; ``longest`` is what it was made for then."""

    port: Port
    number: type[np.floating[Any]]
    width: int | None
    height: int | None
    longest: int
    stride: int

    def canvas(self, rgb: Bytes, place: Place) -> Canvas:
        if self.width is not None and self.height is not None:
            return fixed(rgb, self.width, self.height, place)
        if place == "stretch":
            return fixed(rgb, self.longest, self.longest, place)
        return fitting(rgb, self.longest, self.stride, place)


class Detector:
    """One that is ready; raises ``Unusable`` where the file is none."""

    def __init__(self, file: ModelFile, cores: int) -> None:
        self.file = file
        self.sha256 = file.sha256()
        self._session = Session(file.path, cores)
        self._entry = _entry(self._session)
        self._sizes = _asks_size(self._session)
        self.broken = 0
        told = told_names(self._session.metadata, file.names)
        self.family = self._tried(told)
        self.names: Names = told or assumed_names(self.family.classes)

    def find(self, rgb: Bytes, least: float, overlap: float) -> list[Detection]:
        """What is in a picture with a confidence of ``least`` or more, by falling confidence, in
        its pixels. ``broken`` counts the answers so far whose numbers were none."""
        canvas = self._entry.canvas(rgb, self.family.sight.place)
        outputs = self._answers(rgb, canvas, self.family.sight)
        found = finite(self.family.read(outputs, canvas, least))
        self.broken += found.broken
        best = suppressed(found, overlap) if self.family.overlapping else found.surest()
        return self._named(best, canvas)

    def told(self) -> dict[str, Any]:
        """Its entry in a report."""
        entry = self._entry
        size = [entry.width, entry.height] if entry.width and entry.height else None
        return {
            "file": self.file.path.name,
            "sha256": self.sha256,
            "family": self.family.name,
            "input_size": size or f"up to {entry.longest}, as the picture is shaped",
            "provider": self._session.provider,
            "names": self.names.origin,
            "classes": list(self.names.all),
        }

    def _tried(self, told: Names | None) -> Family:
        """Once on grey: what comes out tells what it is."""
        grey = np.full((self._entry.height or 1, self._entry.width or 1, 3), 114, np.uint8)
        canvas = self._entry.canvas(grey, "stretch")
        outputs = self._answers(grey, canvas, _TRIED)
        named = len(told.all) if told else 0
        return recognise(
            Trial(outputs, canvas, self._sizes is not None, self._session.metadata, named)
        )

    def _answers(self, rgb: Bytes, canvas: Canvas, sight: Sight) -> dict[str, Any]:
        feeds: dict[str, Anything] = {
            self._entry.port.name: sight.show(rgb, canvas, self._entry.number)
        }
        if self._sizes is not None:
            number = np.int32 if self._sizes.kind == "tensor(int32)" else np.int64
            feeds[self._sizes.name] = np.array([[rgb.shape[1], rgb.shape[0]]], number)
        names = (port.name for port in self._session.outputs)
        return dict(zip(names, self._session.run(feeds), strict=True))

    def _named(self, found: Candidates, canvas: Canvas) -> list[Detection]:
        corners = canvas.inside(found.corners) if self.family.sized else canvas.boxes(found.corners)
        out: list[Detection] = []
        for box, score, which in zip(
            corners.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
        ):
            left, top, right, bottom = box
            if right > left and bottom > top:
                place = left, top, right - left, bottom - top
                out.append(Detection(self.names.of(which), min(1.0, score), place))
        return out


def _entry(session: Session) -> _Entry:
    """The one input that is a picture; raises ``Unusable`` for what is not served."""
    pictures = [port for port in session.inputs if len(port.shape) == 4]
    others = [port for port in session.inputs if len(port.shape) != 4 and port.name != _SIZES]
    if len(pictures) != 1 or others:
        told = "; ".join(port.words for port in session.inputs[:6]) or "nothing"
        raise Unusable(
            "not_a_detector",
            f"The network takes {told}; a detector takes one picture (1 x 3 x height x width).",
        )
    port = pictures[0]
    batch, channels, height, width = port.shape
    if batch not in (None, 1):
        raise Unusable(
            "model_not_served",
            f"The network takes {batch} pictures at once. Export it for one, or for any number.",
        )
    if channels not in (None, 3):
        raise Unusable(
            "model_not_served",
            f"The network takes {port.words}; 1 x 3 x height x width is served, colours first.",
        )
    if max(height or 0, width or 0) > _LARGEST_SIDE:
        raise Unusable("model_not_served", f"The network takes {port.words}, which is too large.")
    number = number_type(port)
    stride = _whole(session.metadata.get("stride"), USUAL_STRIDE)
    longest = _made_for(session, stride)
    if (height is None) != (width is None):
        height, width = height or longest, width or longest
    return _Entry(port, number, width, height, longest, stride)


def _made_for(session: Session, stride: int) -> int:
    """The longest side that an open network was trained at, by its own ``imgsz``."""
    told = literal(session.metadata.get("imgsz", "")) or USUAL_SIZE
    sizes = cast("list[Any]", told) if isinstance(told, list) else [told]
    longest = max((size for size in sizes if isinstance(size, int)), default=USUAL_SIZE)
    return -(-min(max(longest, stride), _LARGEST_SIDE) // stride) * stride


def _whole(told: str | None, usual: int) -> int:
    value = literal(told or "")
    return value if isinstance(value, int) and 1 <= value <= 256 else usual


def _asks_size(session: Session) -> Port | None:
    return next((port for port in session.inputs if port.name == _SIZES), None)
