"""A job from its file to what a customer looks at."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.threed.program import Channel
from tests.vision.network import detector
from tests.vision.program import codes, rows, run
from tests.vision.scene import Box, encoded, film, moving, picture, played, turned
from usina.apps.vision.drawing import colour_of
from usina.apps.vision.network.home import SETTING
from usina.apps.vision.network.lodge import Lodge
from usina_runner import Cancelled, Failure, InvalidInput

THINGS: list[tuple[str, Box]] = [("red", (40, 40, 60, 60)), ("blue", (200, 150, 80, 40))]


def street(index: int) -> list[tuple[str, Box]]:
    """Red walks to the right, for half a second unseen; blue goes to the left, and out; green
    stays."""
    unseen = 14 <= index < 19
    return [
        ("green", (68, 116, 40, 40)),
        *([] if unseen else [("red", (10.0 + 8 * index, 40.0, 40.0, 56.0))]),
        ("blue", (260 - 9 * index, 170, 56, 40)),
    ]


class TestFilm:
    def test_things_are_told_followed_counted_and_drawn(self, tmp_path: Path) -> None:
        path = film(tmp_path / "a.mp4", moving(32, street))
        door = {"name": "door", "start": [240, 256], "end": [240, 0]}
        yard = {"polygon": [[0, 0.65], [0.5, 0.65], [0.5, 1], [0, 1]], "unit": "fraction"}
        channel = Channel()

        report = run(
            tmp_path / "job", {"video": path}, channel, lines=[door], zones=[yard], confidence=0.4
        )

        told = rows(tmp_path / "job")
        red = [row for row in told if row["class_name"] == "red"]
        for row in (row for row in red if row["frame_number"] < 12):
            truth = (10 + 8 * row["frame_number"], 40, 40, 56)
            assert np.abs(np.subtract(row["bounding_box"], truth)).max() <= 2, row
            assert row["time_seconds"] == pytest.approx(row["frame_number"] / 10)
        assert {row["track_id"] for row in red} == {red[0]["track_id"]}, "also after the gap"
        assert set(told[0]) == {
            *("frame_number", "time_seconds", "class_name", "confidence", "bounding_box"),
            "track_id",
        }
        assert report["frames"] == 32
        assert report["detections"] == len(told)
        assert {name: each["objects"] for name, each in report["counts"].items()} == {
            "red": 1,
            "green": 1,
            "blue": 1,
        }
        [line], [zone] = report["lines"], report["zones"]
        assert (line["forward"]["classes"], line["backward"]["classes"]) == (
            {"red": 1},
            {"blue": 1},
        )
        assert zone["visits"]["classes"] == {"blue": 1}
        assert report["video"] == {
            "width": 320,
            "height": 256,
            "frames_read": 32,
            "seconds": pytest.approx(3.1),
            "frame_rate": 10,
        }
        assert report["warnings"] == []
        shown = played(tmp_path / "job/outputs/annotated.mp4")
        assert [seconds for seconds, _ in shown] == pytest.approx([i / 10 for i in range(32)])
        frame = shown[5][1][:, :, :3].astype(int)
        rim = np.abs(frame[60:90, 49:52] - colour_of("red")).max(axis=2)
        assert rim.min(axis=1).max() < 90, "red's left side is drawn"
        said = [(message["path"], message["kind"]) for message in channel.of("artifact")]
        assert said == [
            ("outputs/detections.ndjson", "data"),
            ("outputs/annotated.mp4", "video"),
            ("outputs/report.json", "report"),
        ]
        assert [each["path"] for each in channel.of("records")] == ["outputs/detections.ndjson"]

    def test_some_frames_and_some_classes(self, tmp_path: Path) -> None:
        path = film(tmp_path / "a.mp4", moving(10, street))

        report = run(
            tmp_path / "job", {"video": path}, every_n_frames=3, classes=["Blue"], annotate=False
        )

        told = rows(tmp_path / "job")
        assert {row["class_name"] for row in told} == {"blue"}
        assert [row["frame_number"] for row in told] == [0, 3, 6, 9]
        assert (report["frames"], report["video"]["frames_read"]) == (4, 10)
        assert not (tmp_path / "job/outputs/annotated.mp4").exists()

    def test_boxes_are_in_the_upright_film(self, tmp_path: Path) -> None:
        lying = picture([("red", (0, 40, 64, 40))])
        path = turned(film(tmp_path / "a.mp4", [lying] * 2))

        report = run(tmp_path / "job", {"video": path})

        [one, _] = rows(tmp_path / "job")
        assert np.abs(np.subtract(one["bounding_box"], (256 - 80, 0, 40, 64))).max() <= 2
        assert (report["video"]["width"], report["video"]["height"]) == (256, 320)
        _, frame = played(tmp_path / "job/outputs/annotated.mp4")[0]
        assert frame.shape == (320, 256, 3)

    def test_a_large_film_is_drawn_smaller(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("usina.apps.vision.drawing.LONGEST", 160)
        path = film(tmp_path / "a.mp4", [picture(THINGS)])

        run(tmp_path / "job", {"video": path})

        [(_, frame)] = played(tmp_path / "job/outputs/annotated.mp4")
        assert frame.shape == (128, 160, 3)
        assert [row["class_name"] for row in rows(tmp_path / "job")] != []

    def test_a_film_that_breaks_gives_what_was_seen(self, tmp_path: Path) -> None:
        path = film(tmp_path / "a.mp4", moving(60, street))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

        report = run(tmp_path / "job", {"video": path}, annotate=True)

        assert codes(report)[0] in ("video_ends_early", "video_broken")
        assert 10 < report["frames"] < 60
        assert len(played(tmp_path / "job/outputs/annotated.mp4")) == report["frames"]

    def test_a_cancel_is_heard_between_frames(self, tmp_path: Path) -> None:
        class Hasty(Channel):
            def cancelled(self) -> bool:
                return any(0.3 < each["progress"] < 0.9 for each in self.of("progress"))

        channel = Hasty()
        with pytest.raises(Cancelled):
            run(tmp_path / "job", {"video": film(tmp_path / "a.mp4", moving(60, street))}, channel)

        assert channel.of("artifact") == []
        assert len(rows(tmp_path / "job")) < 150

    def test_progress_rises_frame_by_frame(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("usina_runner._PROGRESS_EVERY_SECONDS", 0)
        channel = Channel()
        run(tmp_path / "job", {"video": film(tmp_path / "a.mp4", moving(20, street))}, channel)

        shares = [each["progress"] for each in channel.of("progress")]
        assert shares == sorted(shares)
        assert len({share for share in shares if 0.05 < share < 0.97}) > 8


class TestImage:
    def test_a_picture_is_told_and_drawn(self, tmp_path: Path) -> None:
        report = run(tmp_path / "job", {"image": encoded(picture(THINGS))})

        told = rows(tmp_path / "job")
        assert sorted(row["class_name"] for row in told) == ["blue", "red"]
        for row in told:
            truth = dict(THINGS)[row["class_name"]]
            assert np.abs(np.subtract(row["bounding_box"], truth)).max() <= 1
            assert (row["frame_number"], row["time_seconds"], row["track_id"]) == (0, 0, None)
        assert report["image"] == {"width": 320, "height": 256}
        assert report["counts"]["red"] == {"detections": 1, "objects": None, "most_at_once": 1}
        with Image.open(tmp_path / "job/outputs/annotated.jpg") as drawn:
            assert drawn.size == (320, 256)

    def test_boxes_of_a_picture_that_is_held_smaller_are_in_its_own_pixels(
        self, tmp_path: Path
    ) -> None:
        large = [("red", (800.0, 600.0, 2000.0, 1500.0))]

        run(tmp_path / "job", {"image": encoded(picture(large, (4400, 3000)), "JPEG")})

        [row] = rows(tmp_path / "job")
        assert np.abs(np.subtract(row["bounding_box"], large[0][1])).max() < 40

    def test_a_zone_counts_a_picture_too(self, tmp_path: Path) -> None:
        left = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "unit": "fraction"}

        report = run(tmp_path / "job", {"image": encoded(picture(THINGS))}, zones=[left])

        assert report["zones"][0]["most_at_once_by_class"] == {"red": 1}

    def test_an_empty_picture_is_no_failure(self, tmp_path: Path) -> None:
        report = run(tmp_path / "job", {"image": encoded(picture([]))})

        assert (report["detections"], report["counts"], rows(tmp_path / "job")) == (0, {}, [])


class TestSettings:
    def test_the_threshold_of_the_platform_is_the_default(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DETECTION_CONFIDENCE_THRESHOLD", "0.99")
        image = encoded(picture(THINGS))

        assert run(tmp_path / "a", {"image": image})["detections"] == 0
        assert run(tmp_path / "b", {"image": image}, confidence=0.2)["detections"] == 2

    def test_the_report_says_what_has_looked(self, tmp_path: Path) -> None:
        told = run(tmp_path / "job", {"image": encoded(picture(THINGS))})["detector"]

        assert told["family"] == "yolov8"
        assert told["provider"] == "CPUExecutionProvider"
        assert told["classes"] == ["red", "green", "blue"]
        assert len(told["sha256"]) == 64

    def test_a_network_without_names_is_warned_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(SETTING, str(detector(tmp_path / "n.onnx", "detr-sized")))

        report = run(tmp_path / "job", {"image": encoded(picture(THINGS))}, classes=["class-0"])

        assert codes(report) == ["names_unknown"]
        assert list(report["counts"]) == ["class-0"]

    def test_a_missing_network_is_no_fault_of_the_caller(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(SETTING)

        with pytest.raises(Failure) as refused:
            run(tmp_path / "job", {"image": encoded(picture(THINGS))})

        assert (refused.value.code, refused.value.reason) == ("unavailable", "model_not_installed")


def _bomb() -> bytes:
    held = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(held, "PNG")
    return held.getvalue()


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": ({}, {}, "one_input"),
    "both": ({"image": encoded(picture([])), "video": b"x"}, {}, "one_input"),
    "half a picture": ({"image": encoded(picture([]))[:120]}, {}, "image_truncated"),
    "a bomb": ({"image": _bomb()}, {}, "image_too_large"),
    "no film": ({"video": b"no film at all" * 50}, {}, "video_unreadable"),
    "a class that is not known": (
        {"image": encoded(picture([]))},
        {"classes": ["gren", "red"]},
        "unknown_class",
    ),
    "a line beside the picture": (
        {"image": encoded(picture([]))},
        {"lines": [{"start": [0, 0], "end": [400, 0]}]},
        "place_outside",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_with_a_reason(case: str, tmp_path: Path) -> None:
    inputs, params, reason = REFUSED[case]
    lodge = Lodge()

    with pytest.raises(InvalidInput) as refused:
        run(tmp_path / "job", inputs, lodge=lodge, **params)

    assert refused.value.reason == reason
    if reason == "unknown_class":
        assert "did you mean 'green'?" in refused.value.message
        assert "It knows red, green, blue." in refused.value.message
    after = run(tmp_path / "after", {"image": encoded(picture(THINGS))}, lodge=lodge)
    assert after["detections"] == 2, "the next job is as good as ever"
