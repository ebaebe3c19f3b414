"""Films out of files: every frame at its time, and no surprise from hostile bytes."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.vision.scene import COLOURS, film, moving, picture, played, sound, turned
from usina.apps.vision.film.video import Video
from usina.apps.vision.film.writer import encoder
from usina.apps.vision.film.writer import film as written
from usina_runner import InvalidInput

SMALL = (64, 48)
CLUSTER = b"\x1f\x43\xb6\x75"
"""What begins the pictures in a matroska file."""


def frames(count: int, size: tuple[int, int] = SMALL) -> list[np.ndarray]:
    return [picture([("red", (index % 40, 10, 16, 16))], size) for index in range(count)]


def codes(video: Video) -> list[str]:
    return [notice.code for notice in video.notices]


def read(path: Path, every: int = 1, **limits: int) -> tuple[Video, list[tuple[int, float]]]:
    video = Video(path, 1, **limits)
    return video, [(frame.number, frame.seconds) for frame in video.frames(every)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.flv", "flv"),
        ("a.mpg", "mpeg1video"),
    ],
)
def test_every_kind_that_is_taken_is_read_to_its_end(name: str, codec: str, tmp_path: Path) -> None:
    video, seen = read(film(tmp_path / name, frames(50), rate=25, codec=codec))

    assert [number for number, _ in seen] == list(range(50))
    assert seen[-1][1] == pytest.approx(49 / 25, abs=0.002)
    assert (video.width, video.height, codes(video)) == (*SMALL, [])
    assert video.share > 0.5


def test_every_so_many_frames_keep_their_numbers_and_times(tmp_path: Path) -> None:
    video, seen = read(film(tmp_path / "a.mp4", frames(10)), every=4)

    assert seen == [(0, 0.0), (4, 0.4), (8, pytest.approx(0.8))]
    assert video.frames_read == 10


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    """A phone slows down in the dark, and a camera that records on motion leaves minutes out."""
    times = [5.0, 5.04, 5.08, 5.2, 5.5, 125.0, 125.04]

    video, seen = read(film(tmp_path / "a.mp4", frames(7), times=times))

    assert [seconds for _, seconds in seen] == pytest.approx([t - 5 for t in times], abs=0.002)
    assert codes(video) == []


def test_a_film_that_a_phone_took_upright_is_upright(tmp_path: Path) -> None:
    lying = picture([("red", (0, 0, 16, 12)), ("blue", (48, 36, 16, 12))], SMALL)
    path = turned(film(tmp_path / "a.mp4", [lying] * 3))

    video = Video(path, 1)
    frame = next(video.frames(1))

    assert (video.width, video.height) == (48, 64)
    assert frame.rgb.shape == (64, 48, 3)
    assert np.abs(frame.rgb[4, 43].astype(int) - COLOURS["red"]).max() < 40, "turned to the right"
    assert np.abs(frame.rgb[60, 4].astype(int) - COLOURS["blue"]).max() < 40


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_a_film_that_was_cut_is_seen_as_far_as_it_goes(tmp_path: Path) -> None:
    video, seen = read(_cut(film(tmp_path / "a.mp4", frames(80)), 0.6))

    assert 20 < len(seen) < 80
    assert codes(video)[0] in ("video_ends_early", "video_broken")
    assert f"{seen[-1][1]:.1f}" in video.notices[0].message


def test_noise_in_the_middle_does_not_end_a_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames(80, (160, 128)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = np.random.default_rng(1).bytes(1500)
    path.write_bytes(bytes(data))

    _, seen = read(path)

    assert seen[-1][0] > 60
    assert seen[-1][1] == pytest.approx(7.9, abs=0.3)


def test_times_that_go_back_are_mended(tmp_path: Path) -> None:
    """Two recordings put behind each other, as cameras do: the second begins at 0 again."""
    one = film(tmp_path / "a.ts", frames(20))
    (tmp_path / "b.ts").write_bytes(one.read_bytes() * 2)

    video, seen = read(tmp_path / "b.ts")

    times = [seconds for _, seconds in seen]
    assert len(times) == 40
    assert times == sorted(set(times)), "always later"
    assert "times_mended" in codes(video)


def test_frames_of_another_size_are_brought_to_the_first(tmp_path: Path) -> None:
    first = film(tmp_path / "a.ts", frames(5))
    second = film(tmp_path / "b.ts", frames(5, (128, 96)))
    (tmp_path / "c.ts").write_bytes(first.read_bytes() + second.read_bytes())

    video = Video(tmp_path / "c.ts", 1)
    shapes = {frame.rgb.shape for frame in video.frames(1)}

    assert shapes == {(48, 64, 3)}
    assert "size_changes" in codes(video)


def test_a_film_without_an_end_is_left_at_the_limit(tmp_path: Path) -> None:
    video, seen = read(film(tmp_path / "a.mp4", frames(30)), most_frames=12)

    assert len(seen) == 12
    assert codes(video) == ["video_too_long"]


def _content(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "noise": (lambda at: _content(at / "a.mp4", bytes(range(256)) * 40), "video_unreadable"),
    "only its start": (
        lambda at: _content(
            at / "a.mp4", film(at / "b.mp4", frames(9), front=False).read_bytes()[:600]
        ),
        "video_unreadable",
    ),
    "without its index": (
        lambda at: _cut(film(at / "a.mp4", frames(30), front=False), 0.7),
        "video_unreadable",
    ),
    "only sound": (lambda at: sound(at / "a.mp4"), "video_without_pictures"),
    "a list of other files": (
        lambda at: _content(at / "a.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "video_unreadable",
    ),
    "files to join": (
        lambda at: _content(at / "a.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        "video_unreadable",
    ),
    "a stamp": (lambda at: film(at / "a.avi", frames(3, (8, 8)), codec="mpeg4"), "video_too_small"),
    "no frame": (
        lambda at: _content(
            at / "a.mkv", film(at / "b.mkv", frames(3)).read_bytes().partition(CLUSTER)[0]
        ),
        "video_unreadable",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_film_is_refused_with_a_reason(case: str, tmp_path: Path) -> None:
    make, reason = REFUSED[case]

    with pytest.raises(InvalidInput) as refused:
        read(make(tmp_path))

    assert refused.value.reason == reason
    assert str(tmp_path) not in refused.value.message


def test_a_film_of_too_many_pixels_is_refused_before_a_frame_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.apps.vision.film.video.MAX_PIXELS", 64 * 47)

    with pytest.raises(InvalidInput) as refused:
        read(film(tmp_path / "a.mp4", frames(3)))

    assert refused.value.reason == "video_too_large"
    assert "64 x 48" in refused.value.message


@pytest.mark.parametrize("size", [(64, 48), (65, 49)])
def test_a_film_is_written_that_browsers_play(size: tuple[int, int], tmp_path: Path) -> None:
    """H.264 with 4:2:0 colours, times as they were, and an index before the pictures."""
    times = [0.0, 0.04, 0.5, 0.501, 3.0]
    path = tmp_path / "a.mp4"
    with written(path, *size, rate=Fraction(25), cores=1) as made:
        for rgb, seconds in zip(frames(5, size), times, strict=True):
            made.add(rgb, seconds)

    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        [stream] = container.streams
        assert stream.codec_context.name == ("h264" if encoder() == "libx264" else "vp9")
        assert stream.codec_context.pix_fmt == "yuv420p"
    assert [seconds for seconds, _ in played(path)] == pytest.approx(times, abs=0.001)


def test_what_moves_is_where_it_was(tmp_path: Path) -> None:
    """The frames come in their order, though the file has them in another."""
    path = film(tmp_path / "a.mp4", moving(12, lambda index: [("red", (20 * index, 90, 40, 40))]))

    middles = [
        float(np.nonzero((frame.rgb[110, :, 0] > 200) & (frame.rgb[110, :, 1] < 90))[0].mean())
        for frame in Video(path, 1).frames(1)
    ]

    assert middles == pytest.approx([20 * index + 19.5 for index in range(12)], abs=1.5)
