"""A detector is known by what its file holds, and its boxes are where the things are."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.vision.network import NAMES, OUTPUTS, ULTRALYTICS, Graph, detector, save
from tests.vision.scene import Box, picture
from usina.apps.vision.detection import Detection
from usina.apps.vision.network.detector import Detector
from usina.apps.vision.network.home import SETTING, ModelFile
from usina.apps.vision.network.lodge import Lodge, threshold
from usina.apps.vision.network.names import COCO
from usina_runner import Failure

THINGS: dict[str, Box] = {
    "red": (32, 40, 64, 64),
    "green": (200, 128, 80, 80),
    "blue": (64, 160, 96, 48),
}


def opened(path: Path) -> Detector:
    return Detector(ModelFile(path, None, (0, 0, 0)), 1)


def shown(found: Detector, least: float = 0.25) -> list[Detection]:
    return found.find(picture(THINGS.items()), least, 0.7)


def assert_where_they_are(found: list[Detection], names: tuple[str, ...] = NAMES) -> None:
    assert {each.class_name for each in found} == set(names)
    assert len(found) == 3
    by_name = dict(zip(NAMES, names, strict=True))
    for name, box in THINGS.items():
        [each] = [each for each in found if each.class_name == by_name[name]]
        assert np.abs(np.subtract(each.box, box)).max() < 0.5, each
        assert 0.25 <= each.confidence <= 1


@pytest.mark.parametrize("family", OUTPUTS)
def test_every_family_is_known_by_its_file_and_finds_what_is_there(
    family: str, tmp_path: Path
) -> None:
    found = opened(detector(tmp_path / "network.onnx", family))

    assert found.family.name == family
    told = found.names.origin == "metadata"
    assert_where_they_are(shown(found), NAMES if told else ("class-0", "class-1", "class-2"))
    assert found.broken == 0


@pytest.mark.parametrize("family", ["yolov8", "yolov5"])
def test_an_open_network_is_shown_the_pictures_own_shape(family: str, tmp_path: Path) -> None:
    network = opened(detector(tmp_path / "network.onnx", family, size=None, batch="batch"))

    assert_where_they_are(shown(network))
    tall = np.rot90(picture(THINGS.items())).copy()
    wide = picture(THINGS.items(), (320, 64))
    assert {each.class_name for each in network.find(tall, 0.25, 0.7)} == set(NAMES)
    [red] = network.find(wide, 0.25, 0.7)
    assert np.abs(np.subtract(red.box, (32, 40, 64, 24))).max() <= 2.1, "a pixel of the network"


def test_sixteen_bits_are_as_good(tmp_path: Path) -> None:
    found = shown(opened(detector(tmp_path / "network.onnx", half=True)))

    assert {each.class_name for each in found} == set(NAMES)
    for each in found:
        assert np.abs(np.subtract(each.box, THINGS[each.class_name])).max() < 1


def test_a_network_that_lies_down_is_known_by_its_names(tmp_path: Path) -> None:
    model: Any = onnx.load(str(detector(tmp_path / "upright.onnx")))
    last = model.graph.node[-1]
    last.op_type, last.output[0] = "Identity", "upright"
    turned = helper.make_node("Transpose", ["upright"], ["output0"], perm=[0, 2, 1])
    model.graph.node.append(turned)
    onnx.save(model, str(tmp_path / "lying.onnx"))

    found = opened(tmp_path / "lying.onnx")

    assert found.family.name == "yolov8"
    assert_where_they_are(shown(found))


def test_one_thing_is_told_once_and_things_of_two_classes_may_share_a_place(
    tmp_path: Path,
) -> None:
    """Cells all over a thing see it; of them the surest is told, class by class."""
    network = opened(detector(tmp_path / "network.onnx"))
    one = network.find(picture([("red", (64, 64, 120, 120))]), 0.01, 0.3)
    assert [each.class_name for each in one] == ["red"]

    over = [("red", (64.0, 64.0, 96.0, 96.0)), ("green", (96.0, 96.0, 96.0, 96.0))]
    both = network.find(picture(over), 0.2, 0.05)
    assert sorted(each.class_name for each in both) == ["green", "red"]


class TestNames:
    def test_a_file_beside_the_network_comes_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector(tmp_path / "network.onnx", "yolox")
        (tmp_path / "names.txt").write_text("Rot\n\nGrün\nBlau\n", "utf-8")
        monkeypatch.setenv(SETTING, str(tmp_path))

        found = Lodge().detector(1)

        assert found.names.origin == "names.txt"
        assert_where_they_are(shown(found), ("Rot", "Grün", "Blau"))

    def test_words_that_do_something_are_never_obeyed(self, tmp_path: Path) -> None:
        trap = tmp_path / "sprung"
        hostile = f"{{0: __import__('pathlib').Path({str(trap)!r}).touch()}}"
        path = detector(tmp_path / "network.onnx", metadata=ULTRALYTICS | {"names": hostile})

        with pytest.raises(Failure, match=r"names\.txt") as refused:
            opened(path)

        assert refused.value.reason == "names_unreadable"
        assert not trap.exists()

    def test_eighty_classes_without_names_are_called_as_cocos(self, tmp_path: Path) -> None:
        graph = Graph()
        none = graph("Mul", graph.cut("images", 2, 0, 1), graph.hold(0))
        rows = graph("Expand", graph("ReduceSum", none, keepdims=0), graph.whole(1, 84, 420))
        graph.nodes.append(helper.make_node("Identity", [rows], ["output0"]))
        sizes = [1, 3, 128, 160]
        image = helper.make_tensor_value_info("images", TensorProto.FLOAT, sizes)

        found = opened(save(tmp_path / "network.onnx", graph, [image], ["output0"], {}))

        assert found.names.all == COCO
        assert found.names.origin == "assumed"


def _answering(path: Path, *shape: int, sizes: tuple[Any, ...] = (1, 3, 128, 160)) -> Path:
    """Something that takes a picture and answers ones of a shape."""
    graph = Graph()
    ones = graph("Expand", graph.hold(1), graph.whole(*shape))
    graph.nodes.append(helper.make_node("Identity", [ones], ["output0"]))
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(sizes))
    return save(path, graph, [image], ["output0"], {})


def _wide(path: Path) -> Path:
    """One that takes numbers of 64 bits."""
    graph = Graph()
    graph.nodes.append(helper.make_node("Identity", ["images"], ["output0"]))
    image = helper.make_tensor_value_info("images", TensorProto.DOUBLE, [1, 3, 64, 64])
    made = helper.make_graph(
        graph.nodes,
        "wide",
        [image],
        [helper.make_tensor_value_info("output0", TensorProto.DOUBLE, None)],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), str(path))
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


UNUSABLE = {
    "unset": (lambda _: Path(), "model_not_installed", "YOLO_MODEL_PATH"),
    "missing": (lambda at: at / "none.onnx", "model_not_installed", "No such file"),
    "empty folder": (lambda at: at, "model_not_installed", "exactly one"),
    "checkpoint": (
        lambda at: _bytes(at / "best.pt", b"PK\3\4rest"),
        "model_not_onnx",
        r"yolo export model=best\.pt format=onnx dynamic=True",
    ),
    "checkpoint under a false name": (
        lambda at: _bytes(at / "best.onnx", b"PK\3\4rest"),
        "model_not_onnx",
        "PyTorch",
    ),
    "engine": (lambda at: _bytes(at / "best.engine", b"x"), "model_not_onnx", "TensorRT"),
    "empty": (lambda at: _bytes(at / "best.onnx", b""), "model_unreadable", "empty"),
    "noise": (lambda at: _bytes(at / "best.onnx", b"no network" * 9), "model_unreadable", "again"),
    "half": (
        lambda at: _bytes(at / "half.onnx", detector(at / "whole.onn").read_bytes()[:-900]),
        "model_unreadable",
        "again",
    ),
    "classifier": (lambda at: _answering(at / "n.onnx", 1, 1000), "not_a_detector", "1 x 1000"),
    "three rows": (lambda at: _answering(at / "n.onnx", 1, 4, 420), "not_a_detector", "4 x 420"),
    "words in": (
        lambda at: _answering(at / "n.onnx", 1, 7, 420, sizes=(1, 77)),
        "not_a_detector",
        "takes images",
    ),
    "batch of 4": (
        lambda at: detector(at / "n.onnx", batch=4),
        "model_not_served",
        "4 pictures at once",
    ),
    "colours last": (
        lambda at: _answering(at / "n.onnx", 1, 7, 420, sizes=(1, 128, 160, 3)),
        "model_not_served",
        "colours first",
    ),
    "64 bits": (lambda at: _wide(at / "n.onnx"), "model_not_served", "float16"),
    "turned boxes": (
        lambda at: detector(at / "n.onnx", metadata=ULTRALYTICS | {"task": "obb"}),
        "not_a_detector",
        "obb",
    ),
    "too many names": (
        lambda at: detector(at / "n.onnx", metadata={"names": "['a', 'b', 'c', 'd']"}),
        "names_wrong",
        "3 classes but 4 names",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_no_detector_is_told_with_what_to_do(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reason, words = UNUSABLE[case]
    path = make(tmp_path)
    monkeypatch.setenv(SETTING, "" if case == "unset" else str(path))

    with pytest.raises(Failure, match=words) as refused:
        Lodge().detector(1)

    assert (refused.value.code, refused.value.reason) == ("unavailable", reason)
    assert refused.value.retryable is False
    assert str(tmp_path) not in refused.value.message


def test_a_provider_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTION_PROVIDER", "cuda")

    with pytest.raises(Failure, match="has auto, cpu") as refused:
        Lodge().detector(1)

    assert refused.value.reason == "provider_missing"


@pytest.mark.parametrize("told", ["often", "0", "1.5", "nan"])
def test_a_threshold_that_is_none_is_told(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTION_CONFIDENCE_THRESHOLD", told)

    with pytest.raises(Failure, match="number from 0 to 1") as refused:
        threshold()

    assert refused.value.reason == "setting_wrong"


def test_answers_that_are_no_boxes_are_left_out_and_counted(tmp_path: Path) -> None:
    """Scores and places that are no numbers, boxes beyond the picture, boxes without a size."""
    graph = Graph()
    rows = [
        [10, 10, 60, 50, 0.9, 0],
        [20, 20, 50, 50, float("nan"), 1],
        [float("inf"), 20, 50, 50, 0.9, 1],
        [500, 500, 600, 600, 0.9, 1],
        [30, 30, 30, 60, 0.9, 1],
        [-50, 100, 400, 500, 0.8, 7],
    ]
    graph.nodes.append(helper.make_node("Identity", [graph.hold([rows])], ["output0"]))
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 128, 160])
    network = opened(save(tmp_path / "n.onnx", graph, [image], ["output0"], dict(ULTRALYTICS)))

    found = network.find(picture([]), 0.25, 0.7)

    assert [(each.class_name, each.box) for each in found] == [
        ("red", (20, 20, 100, 80)),
        ("class-7", (0, 200, 320, 56)),
    ]
    assert network.broken == 2


def test_a_warm_program_keeps_its_detector_until_the_file_or_a_setting_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = detector(tmp_path / "network.onnx")
    monkeypatch.setenv(SETTING, str(path))
    lodge = Lodge()
    first = lodge.detector(1)
    assert lodge.detector(1) is first

    detector(tmp_path / "new.onnx", "end-to-end").replace(path)
    second = lodge.detector(1)
    assert (first.family.name, second.family.name) == ("yolov8", "end-to-end")
    assert lodge.detector(2) is not second, "other cores, other threads"
