"""Which kind of detector a file holds, told from what it takes, answers and says of itself.

A network is run once on grey, so that every size is known, also those that the file leaves open.
With ``cells``, the number of places of a grid of 8, 16 and 32 pixels over the canvas (or of one of
the other grids below), the rules are, the first that fits:

1. It takes ``orig_target_sizes`` and answers ``labels``, ``boxes``, ``scores``: ``detr-sized``
   (RT-DETR, D-FINE, DEIM by their own export).
2. It answers ``(1, n, 4)`` and ``(1, n, classes)``: ``detr-logits`` (RT-DETR, D-FINE by
   transformers); called ``dets`` and ``labels``: ``rf-detr``, whose pictures are normalised.
3. It answers ``(1, a, b)`` first, and
   - b is ``cells``: ``yolov8`` (and v9, v11, v12: 4 + classes + more rows);
   - a is three times ``cells``: ``yolov5`` (and v7);
   - a is ``cells``: ``yolox``, or ``yolov8`` lying down where its names say 4 + classes;
   - it says that it is an RT-DETR: ``rt-detr`` (by Ultralytics);
   - b is 6: ``end-to-end`` (YOLOv10, YOLO26, an export with suppression).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from usina.apps.vision.network import head
from usina.apps.vision.network.candidate import Candidates
from usina.apps.vision.network.fault import Unusable
from usina.apps.vision.network.fit import Canvas, Sight
from usina.imaging.array import Field32

GRIDS: Final = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32), (8, 16))

Read = Callable[[head.Outputs, Canvas, float], Candidates]

_LETTERBOX: Final = Sight("centre")
_STRETCHED: Final = Sight("stretch")
_NORMALISED: Final = Sight(
    "stretch",
    factor=(1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
)
_YOLOX: Final = Sight("corner", "bgr", factor=(1, 1, 1))

_TASKS: Final = ("detect", "segment", "pose")


@dataclass(frozen=True, slots=True)
class Family:
    """``read`` takes the outputs, the canvas and the least score; ``overlapping`` answers need
    suppression; ``sized`` boxes are in the picture's own pixels already."""

    name: str
    sight: Sight
    classes: int
    read: Read
    overlapping: bool = False
    sized: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What is known of a file after a first run: its outputs, the canvas that was shown, whether it
    asks for the picture's size, its metadata, and how many classes are named, 0 if unknown."""

    outputs: Mapping[str, Field32]
    canvas: Canvas
    asks_size: bool
    metadata: Mapping[str, str]
    named: int


def recognise(trial: Trial) -> Family:
    """The family by the rules above; raises ``Unusable`` for what is no detector."""
    task = trial.metadata.get("task", "detect")
    if task not in _TASKS:
        raise Unusable("not_a_detector", f"The network's task is {task!r}; it finds no boxes.")
    if trial.asks_size:
        return _sized(trial)
    shapes = {name: output.shape for name, output in trial.outputs.items()}
    three = [name for name, shape in shapes.items() if len(shape) == 3]
    if len(shapes) == 2 and len(three) == 2:
        found = _logits(trial)
        if found is not None:
            return found
    first = next(iter(shapes))
    if len(shapes[first]) == 3 and shapes[first][0] == 1:
        found = _rows(trial, first)
        if found is not None:
            return found
    raise _stranger(shapes)


def _stranger(shapes: Mapping[str, tuple[int, ...]]) -> Unusable:
    told = "; ".join(
        f"{name} ({' x '.join(map(str, shape))})" for name, shape in list(shapes.items())[:6]
    )
    return Unusable(
        "not_a_detector",
        f"The network answers {told}, which is no detector of a known kind. Detectors of the kinds "
        "of YOLOv5 to YOLO26, YOLOX, RT-DETR, D-FINE and RF-DETR are served.",
    )


def _sized(trial: Trial) -> Family:
    if not {"labels", "boxes", "scores"} <= trial.outputs.keys():
        raise _stranger({name: output.shape for name, output in trial.outputs.items()})

    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        return head.read_sized(
            outputs["labels"][0], outputs["boxes"][0], outputs["scores"][0], least
        )

    return Family("detr-sized", _STRETCHED, trial.named, read, sized=True)


def _logits(trial: Trial) -> Family | None:
    boxes = next((name for name, out in trial.outputs.items() if out.shape[2] == 4), "")
    if "pred_boxes" in trial.outputs or "dets" in trial.outputs:
        boxes = "pred_boxes" if "pred_boxes" in trial.outputs else "dets"
    scores = next((name for name in trial.outputs if name != boxes), "")
    if not boxes or trial.outputs[boxes].shape[1] != trial.outputs[scores].shape[1]:
        return None
    classes = int(trial.outputs[scores].shape[2])

    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        return head.read_shares(
            outputs[boxes][0], head.likelihood(outputs[scores][0]), canvas, least
        )

    if boxes == "dets":
        return Family("rf-detr", _NORMALISED, classes, read)
    return Family("detr-logits", _STRETCHED, classes, read)


def _rows(trial: Trial, first: str) -> Family | None:
    """The rules for one array of boxes with their scores."""
    _, down, across = trial.outputs[first].shape
    lying = trial.named and across == 4 + trial.named
    if _grid(trial.canvas, across) and down > 4:
        return _yolo(first, trial.named or down - 4, down, turned=False)
    if across > 5 and _grid(trial.canvas, down, anchors=3):
        return _anchored(first, across - 5)
    strides = _grid(trial.canvas, down)
    if strides and lying:
        return _yolo(first, trial.named, across, turned=True)
    if across > 5 and strides:
        return _yolox(first, across - 5, strides, trial)
    if across > 4 and "RT-DETR" in trial.metadata.get("description", ""):
        return _shares(first, across - 4)
    return _ended(first, trial.named) if across == 6 else None


def _grid(canvas: Canvas, rows: int, anchors: int = 1) -> Sequence[int] | None:
    """The strides of the grids that have so many places on the canvas."""
    for strides in GRIDS:
        if anchors * _cells(canvas, strides) == rows:
            return strides
    return None


def _cells(canvas: Canvas, strides: Iterable[int]) -> int:
    return sum(-(-canvas.width // stride) * -(-canvas.height // stride) for stride in strides)


def _yolo(first: str, classes: int, rows: int, *, turned: bool) -> Family | None:
    if rows < 4 + classes:
        raise Unusable(
            "names_wrong",
            f"The network has {rows - 4} classes but {classes} names. Mend its names.txt, or "
            "export it again.",
        )

    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        answer = outputs[first][0]
        return head.read_yolo(answer.T if turned else answer, classes, least)

    return Family("yolov8", _LETTERBOX, classes, read, overlapping=True)


def _anchored(first: str, classes: int) -> Family:
    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        return head.read_anchored(outputs[first][0], least)

    return Family("yolov5", _LETTERBOX, classes, read, overlapping=True)


def _yolox(first: str, classes: int, strides: Sequence[int], trial: Trial) -> Family:
    """Its boxes count in cells, unless it was exported to place them by itself: then the middles
    on a grey canvas already reach all over it."""
    reach = float(np.abs(trial.outputs[first][0, :, :2]).max())
    whole = reach > min(trial.canvas.width, trial.canvas.height) / 2

    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        rows = outputs[first][0]
        return head.read_anchored(rows if whole else head.placed(rows, canvas, strides), least)

    return Family("yolox", _YOLOX, classes, read, overlapping=True)


def _ended(first: str, classes: int) -> Family:
    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        return head.read_ended(outputs[first][0], least)

    return Family("end-to-end", _LETTERBOX, classes, read)


def _shares(first: str, classes: int) -> Family:
    def read(outputs: head.Outputs, canvas: Canvas, least: float) -> Candidates:
        rows = outputs[first][0]
        return head.read_shares(rows[:, :4], rows[:, 4:], canvas, least)

    return Family("rt-detr", _STRETCHED, classes, read)
