"""Real detectors in small ONNX files: they find red, green and blue rectangles by their colour.

A convolution tells each colour, running maxima tell from every pixel how far its rectangle reaches
to each side, and the pixel in the middle is the surest. Each family has its own ending, as its
export writes it. Their classes are ``red``, ``green`` and ``blue``.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = ("red", "green", "blue")
ULTRALYTICS = {"names": "{0: 'red', 1: 'green', 2: 'blue'}", "stride": "32", "task": "detect"}

REACH = 64
"""Pixels that a rectangle may reach to each side of its middle."""

OPEN_SIZE = 160
"""What a detector for pictures of any size says that it was made for."""

STRIDES = (8, 16, 32)
QUERIES = 20


@dataclass
class Graph:
    """Nodes in the making; every call answers the name of what it makes."""

    nodes: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)

    def __call__(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def hold(self, values: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def whole(self, *values: int) -> str:
        return self.hold(values, np.int64)

    def cut(self, value: str, axis: int, start: int, end: int, step: int = 1) -> str:
        numbers = (self.whole(one) for one in (start, end, axis, step))
        return self("Slice", value, *numbers)

    def shape(self, value: str, *sizes: int) -> str:
        return self("Reshape", value, self.whole(*sizes))


@dataclass(frozen=True)
class Found:
    """By pixel, ``(1, 3, h, w)``: how sure each colour is, and where its rectangle ends."""

    score: str
    left: str
    top: str
    right: str
    bottom: str


def _look(graph: Graph, picture: str, scale: float, *, bgr: bool) -> Found:
    """``picture`` times ``scale`` is 0 to 1."""
    if bgr:
        picture = graph("Gather", picture, graph.whole(2, 1, 0), axis=1)
    plain = graph("Mul", picture, graph.hold(scale))
    weights = graph.hold((2 * np.eye(3) - np.ones((3, 3))).reshape(3, 3, 1, 1))
    gap = graph("Conv", plain, weights)
    inside = graph("Cast", graph("Greater", gap, graph.hold(0.3)), to=TensorProto.FLOAT)
    outside = graph("Sub", graph.hold(1), inside)
    ones = graph("Add", graph("Mul", inside, graph.hold(0)), graph.hold(1))
    x = graph("CumSum", ones, graph.hold(3, np.int64))
    y = graph("CumSum", ones, graph.hold(2, np.int64))
    far = graph.hold(-1e4)

    def reach(place: str, sign: float, pads: list[int], size: list[int]) -> str:
        """The nearest pixel outside on one side."""
        signed = graph("Mul", place, graph.hold(sign))
        there = graph("Where", graph("Cast", outside, to=TensorProto.BOOL), signed, far)
        most = graph("MaxPool", there, kernel_shape=size, pads=pads, strides=[1, 1])
        return graph("Mul", most, graph.hold(sign))

    window = REACH
    left = graph("Max", reach(x, 1, [0, window - 1, 0, 0], [1, window]), graph.hold(0))
    right = reach(x, -1, [0, 0, 0, window - 1], [1, window])
    top = graph("Max", reach(y, 1, [window - 1, 0, 0, 0], [window, 1]), graph.hold(0))
    bottom = reach(y, -1, [0, 0, window - 1, 0], [window, 1])
    edge_x = graph("ReduceMax", x, graph.whole(3), keepdims=1)
    edge_y = graph("ReduceMax", y, graph.whole(2), keepdims=1)
    one = graph.hold(1)
    right = graph("Min", right, graph("Add", edge_x, one))
    bottom = graph("Min", bottom, graph("Add", edge_y, one))

    def balance(low: str, place: str, high: str) -> str:
        """1 in the middle, towards 0 at the rims."""
        before, after = graph("Sub", place, low), graph("Sub", high, place)
        longer = graph("Max", before, after, one)
        return graph("Div", graph("Min", before, after), longer)

    level = graph("Mul", balance(left, x, right), balance(top, y, bottom))
    score = graph("Mul", graph("Mul", inside, graph.hold(0.95)), level)
    # The pixel x counts from 1: what is outside at ``left`` ends there, what begins at ``right`` a
    # pixel before.
    return Found(score, left, top, graph("Sub", right, one), graph("Sub", bottom, one))


def _cells(graph: Graph, value: str, stride: int, rows: int) -> str:
    """Of ``(1, rows, h, w)`` the pixels in the middle of each cell, ``(1, rows, n)``."""
    half = stride // 2
    down = graph.cut(value, 2, half, 1 << 30, stride)
    return graph.shape(graph.cut(down, 3, half, 1 << 30, stride), 1, rows, -1)


def _box_of_best(graph: Graph, found: Found) -> tuple[str, str, str, str]:
    """The middle and size of the box of the surest colour, each ``(1, 1, h, w)``."""
    best = graph("ArgMax", found.score, axis=1, keepdims=1)

    def of(value: str) -> str:
        return graph("GatherElements", value, best, axis=1)

    left, top, right, bottom = (
        of(each) for each in (found.left, found.top, found.right, found.bottom)
    )
    half = graph.hold(0.5)
    return (
        graph("Mul", graph("Add", left, right), half),
        graph("Mul", graph("Add", top, bottom), half),
        graph("Sub", right, left),
        graph("Sub", bottom, top),
    )


def _yolov8(graph: Graph, found: Found) -> list[str]:
    """``output0`` ``(1, 7, n)``: centre x, centre y, width, height, and the classes."""
    values = graph("Concat", *_box_of_best(graph, found), found.score, axis=1)
    return [graph("Concat", *(_cells(graph, values, each, 7) for each in STRIDES), axis=2)]


def _yolov5(graph: Graph, found: Found) -> list[str]:
    """``output0`` ``(1, 3 n, 8)``: for three anchors a cell, with objectness."""
    best = graph("ReduceMax", found.score, graph.whole(1), keepdims=1)
    share = graph("Div", found.score, graph("Max", best, graph.hold(1e-6)))
    values = graph("Concat", *_box_of_best(graph, found), best, share, axis=1)
    parts = [_cells(graph, values, each, 8) for each in STRIDES for _ in range(3)]
    return [graph("Transpose", graph("Concat", *parts, axis=2), perm=[0, 2, 1])]


def _yolox(graph: Graph, found: Found, height: int, width: int) -> list[str]:
    """``output`` ``(1, n, 8)``: offsets in cells, logarithms of sizes, objectness, classes."""
    best = graph("ReduceMax", found.score, graph.whole(1), keepdims=1)
    share = graph("Div", found.score, graph("Max", best, graph.hold(1e-6)))
    values = graph("Concat", *_box_of_best(graph, found), best, share, axis=1)
    parts: list[str] = []
    for stride in STRIDES:
        rows = _cells(graph, values, stride, 8)
        y, x = np.mgrid[: height // stride, : width // stride]
        grid = graph.hold(np.stack([x.ravel(), y.ravel()])[None])
        middle = graph("Div", graph.cut(rows, 1, 0, 2), graph.hold(stride))
        size = graph("Div", graph.cut(rows, 1, 2, 4), graph.hold(stride))
        parts.append(
            graph(
                "Concat",
                graph("Sub", middle, grid),
                graph("Log", graph("Max", size, graph.hold(1e-3))),
                graph.cut(rows, 1, 4, 8),
                axis=1,
            )
        )
    return [graph("Transpose", graph("Concat", *parts, axis=2), perm=[0, 2, 1])]


def _queries(graph: Graph, found: Found) -> tuple[str, str]:
    """As a transformer answers, one for each thing: boxes ``(1, n, 4)`` by their middles in pixels,
    and classes ``(1, n, 3)``."""
    level = graph("ReduceMax", found.score, graph.whole(1), keepdims=1)
    ones = graph("Add", graph("Mul", level, graph.hold(0)), graph.hold(1e-6))
    across, down = (graph("CumSum", ones, graph.hold(axis, np.int64)) for axis in (3, 2))
    nudge = graph("Add", across, graph("Mul", down, graph.hold(17)))
    best = graph("Sub", level, nudge)  # of pixels that are equal, one
    window = {"kernel_shape": [25, 25], "pads": [12, 12, 12, 12], "strides": [1, 1]}
    peak = graph("Equal", best, graph("MaxPool", best, **window))
    only = graph("Mul", best, graph("Cast", peak, to=TensorProto.FLOAT))
    _, where = graph(
        "TopK", graph.shape(only, 1, -1), graph.whole(QUERIES), outputs=2, axis=1, sorted=1
    )
    boxes = graph("Concat", *_box_of_best(graph, found), axis=1)
    scores = graph("Mul", found.score, graph("Cast", peak, to=TensorProto.FLOAT))

    def picked(values: str, rows: int) -> str:
        flat = graph("Transpose", graph.shape(values, rows, -1), perm=[1, 0])
        index = graph.shape(where, -1)
        return graph.shape(graph("Gather", flat, index, axis=0), 1, QUERIES, rows)

    return picked(boxes, 4), picked(scores, 3)


def _shares(graph: Graph, boxes: str, height: int, width: int) -> str:
    return graph("Div", boxes, graph.hold([width, height, width, height]))


def _corners(graph: Graph, boxes: str) -> str:
    middle, size = graph.cut(boxes, 2, 0, 2), graph.cut(boxes, 2, 2, 4)
    half = graph("Mul", size, graph.hold(0.5))
    return graph("Concat", graph("Sub", middle, half), graph("Add", middle, half), axis=2)


def _best_class(graph: Graph, scores: str) -> tuple[str, str]:
    """How sure, and which, each ``(1, n)``."""
    sure = graph("ReduceMax", scores, graph.whole(2), keepdims=0)
    return sure, graph("ArgMax", scores, axis=2, keepdims=0)


def _end_to_end(graph: Graph, found: Found) -> list[str]:
    boxes, scores = _queries(graph, found)
    sure, which = _best_class(graph, scores)
    whole = graph("Cast", which, to=TensorProto.FLOAT)
    rows = [graph.shape(each, 1, QUERIES, 1) for each in (sure, whole)]
    return [graph("Concat", _corners(graph, boxes), *rows, axis=2)]


def _rt_detr(graph: Graph, found: Found, height: int, width: int) -> list[str]:
    boxes, scores = _queries(graph, found)
    return [graph("Concat", _shares(graph, boxes, height, width), scores, axis=2)]


def _detr_logits(graph: Graph, found: Found, height: int, width: int) -> list[str]:
    boxes, scores = _queries(graph, found)
    held = graph("Min", graph("Max", scores, graph.hold(1e-4)), graph.hold(0.9999))
    logits = graph("Log", graph("Div", held, graph("Sub", graph.hold(1), held)))
    return [logits, _shares(graph, boxes, height, width)]


def _d_fine(graph: Graph, found: Found, height: int, width: int) -> list[str]:
    boxes, scores = _queries(graph, found)
    sure, which = _best_class(graph, scores)
    asked = graph("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    twice = graph.shape(graph("Concat", asked, asked, axis=1), 1, 1, 4)
    corners = _shares(graph, _corners(graph, boxes), height, width)
    return [which, graph("Mul", corners, twice), sure]


OUTPUTS = {
    "yolov8": ["output0"],
    "yolov5": ["output0"],
    "yolox": ["output"],
    "end-to-end": ["output0"],
    "rt-detr": ["output0"],
    "detr-logits": ["logits", "pred_boxes"],
    "rf-detr": ["dets", "labels"],
    "detr-sized": ["labels", "boxes", "scores"],
}
"""The families that can be made, with the names of what they answer."""


def detector(
    path: Path,
    family: str = "yolov8",
    *,
    size: tuple[int, int] | None = (128, 160),
    batch: int | str = 1,
    metadata: dict[str, str] | None = None,
    half: bool = False,
) -> Path:
    """A detector for pictures of ``size`` (height, width), or of any where it is None. Without
    ``metadata``, Ultralytics' families tell their names."""
    graph = Graph()
    height, width = size or (0, 0)
    picture = graph("Cast", "images", to=TensorProto.FLOAT) if half else "images"
    if family == "rf-detr":
        spread, middle = (
            graph.hold(np.reshape(each, (1, 3, 1, 1)))
            for each in ([0.229, 0.224, 0.225], [0.485, 0.456, 0.406])
        )
        picture = graph("Add", graph("Mul", picture, spread), middle)
    yolox = family == "yolox"
    found = _look(graph, picture, 1 / 255 if yolox else 1.0, bgr=yolox)
    made = {
        "yolov8": lambda: _yolov8(graph, found),
        "yolov5": lambda: _yolov5(graph, found),
        "yolox": lambda: _yolox(graph, found, height, width),
        "end-to-end": lambda: _end_to_end(graph, found),
        "rt-detr": lambda: _rt_detr(graph, found, height, width),
        "detr-logits": lambda: _detr_logits(graph, found, height, width),
        "rf-detr": lambda: _detr_logits(graph, found, height, width)[::-1],
        "detr-sized": lambda: _d_fine(graph, found, height, width),
    }[family]()
    if half:
        made = [graph("Cast", each, to=TensorProto.FLOAT16) for each in made]
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    for name, value in zip(OUTPUTS[family], made, strict=True):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    sizes: list[Any] = list(size) if size else ["height", "width"]
    inputs = [helper.make_tensor_value_info("images", kind, [batch, 3, *sizes])]
    if family == "detr-sized":
        asked = helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2])
        inputs.append(asked)
    if metadata is None:
        metadata = {} if yolox or "detr-" in family or family == "rf-detr" else dict(ULTRALYTICS)
        if family == "rt-detr":
            metadata["description"] = "Ultralytics RT-DETR-l model"
        if metadata and not size:
            metadata["imgsz"] = f"[{OPEN_SIZE}, {OPEN_SIZE}]"
    return save(path, graph, inputs, OUTPUTS[family], metadata, half=half)


def save(
    path: Path,
    graph: Graph,
    inputs: list[Any],
    outputs: list[str],
    metadata: dict[str, str],
    *,
    half: bool = False,
) -> Path:
    kinds = {} if "dets" in outputs else {"labels": TensorProto.INT64}
    usual = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    told = [helper.make_tensor_value_info(name, kinds.get(name, usual), None) for name in outputs]
    made = helper.make_graph(graph.nodes, "detector", inputs, told, graph.held)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path
