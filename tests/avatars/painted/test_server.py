"""A Stable Diffusion server as the engine: what it is asked, shown, and how it fails."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import usina_runner
from tests.avatars.painted.program import job, run
from tests.avatars.program import FACE, astronaut, avatar, codes, finder, photo
from tests.avatars.program import run as built_in
from tests.models.automatic1111.server import TABLE, Webui, webui
from tests.threed.program import Channel
from usina.apps.avatars.diffusion.engine import ServerPlace
from usina.apps.avatars.diffusion.order import STYLES, Order, read_order
from usina.apps.avatars.diffusion.server import Patience, ServerPainter
from usina.apps.avatars.diffusion.studio import Studio
from usina.apps.avatars.style.catalogue import STYLES as BUILT_IN

QUICK = Patience(look=0.02, interrupt=30)
ORDER = Order("a portrait", "", 0.5, 7.0, 10, 0, None)
SQUARE = np.asarray(astronaut().resize((64, 64)))


def painter(url: str, patience: Patience = QUICK, **place: Any) -> ServerPainter:
    return ServerPainter(ServerPlace(url, **place), patience)


@pytest.fixture
def server() -> Generator[tuple[Webui, str]]:
    with webui() as made:
        yield made


def a_job(folder: Path, channel: Channel | None = None) -> usina_runner.Job:
    return job(folder, photo(), channel or Channel())


def test_from_a_photo_to_an_avatar(server: tuple[Webui, str], tmp_path: Path) -> None:
    state, url = server
    exif = Image.Exif()
    exif[0x010E] = "41.40338, 2.17403"

    channel = Channel()
    data = photo(astronaut(), exif=exif)
    report = run(
        Studio(painter(url, sampler="Euler a"), finder()), tmp_path, data, channel, style="oil"
    )

    assert report["face"] == pytest.approx(FACE, abs=8)
    assert report["face_confidence"] > 0.9
    assert codes(report) == set()
    assert (report["engine"], report["paint_size"]) == ("server", 512)
    assert url not in (tmp_path / "outputs" / "report.json").read_text()
    (asked,) = state.requests
    assert set(asked) <= set(TABLE["fields"])
    assert "oil painting" in asked["prompt"]
    assert asked["sampler_name"] == "Euler a"
    assert asked["save_images"] is False
    assert asked["force_task_id"].startswith("usina-")
    png = avatar(tmp_path).astype(int)
    assert png.shape == (512, 512, 3)
    assert png[180:330, 170:340].std() > 15  # a face, and not washed out
    assert np.abs(png - avatar(tmp_path, "avatar.webp")).mean() < 7
    stages = [message["stage"] for message in channel.of("progress")]
    assert list(dict.fromkeys(stages)) == ["detect", "align", "queue", "paint", "look", "write"]
    for path in (tmp_path / "outputs").iterdir():
        assert b"41.40338" not in path.read_bytes()
    assert not state.interrupts


def test_size_seed_and_strength_reach_the_server(server: tuple[Webui, str], tmp_path: Path) -> None:
    state, url = server
    asked = painter(url)
    chosen = {"steps": 3, "strength": 0.02, "seed": 5, "size": 1024, "paint_size": 256}
    Studio(asked, finder()).portray(job(tmp_path / "a", photo(), Channel(), **chosen))

    (request,) = state.requests
    assert (request["width"], request["height"], request["seed"]) == (256, 256, 5)
    assert request["steps"] == 50  # at least one of them is really taken
    assert request["denoising_strength"] == 0.02
    assert avatar(tmp_path / "a").shape == (1024, 1024, 3)


def test_every_style_has_its_words() -> None:
    assert list(STYLES) == list(BUILT_IN)
    base = {"negative_prompt": "", "strength": 1, "guidance_scale": 7, "steps": 1, "seed": 0}
    assert "studio" in read_order(base).prompt
    assert read_order(base | {"prompt": "  a\nknight "}).prompt == "a knight"
    both = read_order(base | {"prompt": "a knight", "style": "ink"}).prompt
    assert both == f"a knight, {STYLES['ink']}"
    with pytest.raises(usina_runner.InvalidInput, match="no words"):
        read_order(base | {"prompt": " \n"})


@pytest.mark.parametrize(
    ("mode", "code", "reason", "says"),
    [
        ("html", "runner_failed", "bad_answer", "no JSON"),
        ("moved", "unavailable", "server_moved", "STABLE_DIFFUSION_URL"),
        ("no_api", "unavailable", "server_without_api", "--api"),
        ("oom", "out_of_memory", "server_out_of_memory", "paint_size"),
        ("nans", "runner_failed", "picture_not_finite", "--no-half"),
        ("crash", "runner_failed", "server_error", "RuntimeError: mat1 and mat2"),
        ("no_image", "runner_failed", "bad_answer", "no picture"),
        ("broken_base64", "runner_failed", "bad_answer", "no base64"),
        ("not_a_picture", "runner_failed", "bad_picture", "can not be read"),
        ("black", "runner_failed", "picture_black", "STABLE_DIFFUSION_DTYPE"),
        ("enormous", "runner_failed", "answer_too_large", "bytes"),
        ("broken_off", "unavailable", "server_broke_off", "log"),
    ],
)
def test_a_failure_is_told_with_what_to_do(
    mode: str, code: str, reason: str, says: str, tmp_path: Path
) -> None:
    with webui(mode=mode) as (_, url), pytest.raises(usina_runner.Failure) as failed:
        painter(url).paint(a_job(tmp_path), SQUARE, ORDER)
    assert (failed.value.code, failed.value.reason) == (code, reason)
    assert says in failed.value.message
    assert url not in failed.value.message
    assert "127.0.0.1" not in failed.value.message


def test_a_server_that_is_down_may_be_tried_again_or_done_without(tmp_path: Path) -> None:
    with webui() as (_, url):
        pass
    studio = Studio(painter(url), finder())
    with pytest.raises(usina_runner.Failure) as failed:
        studio.portray(a_job(tmp_path / "alone"))
    assert (failed.value.reason, failed.value.retryable) == ("server_down", True)

    channel = Channel()
    report = run(studio, tmp_path / "drawn", photo(), channel, style="ink", fallback=True)
    assert report["engine"] == "styles"
    (warning,) = report["warnings"]
    assert warning["code"] == "painter_unavailable"
    assert "STABLE_DIFFUSION_URL names can not be reached" in warning["message"]
    assert url not in warning["message"]
    shares = [message["progress"] for message in channel.of("progress")]
    assert shares == sorted(shares)
    built_in(tmp_path / "built-in", photo(), style="ink")
    assert (avatar(tmp_path / "drawn") == avatar(tmp_path / "built-in")).all()


def test_what_fails_for_the_pictures_own_sake_is_not_drawn_instead(tmp_path: Path) -> None:
    with webui(mode="oom") as (_, url), pytest.raises(usina_runner.Failure) as failed:
        run(Studio(painter(url), finder()), tmp_path, photo(), fallback=True)
    assert failed.value.reason == "server_out_of_memory"


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    patience = Patience(look=0.02, answer=0.3, silence=0.5, interrupt=0.1)
    with webui(mode="silent") as (_, url), pytest.raises(usina_runner.Failure) as failed:
        painter(url, patience).paint(a_job(tmp_path), SQUARE, ORDER)
    assert failed.value.reason == "server_silent"


def test_a_login_and_a_sampler_are_refused_in_words(tmp_path: Path) -> None:
    with webui(auth="ana:s3cret") as (state, url):
        with pytest.raises(usina_runner.Failure, match="STABLE_DIFFUSION_AUTH"):
            painter(url).paint(a_job(tmp_path / "a"), SQUARE, ORDER)
        mine = painter(url, auth=("ana", "s3cret"), sampler="Ancestral")
        with pytest.raises(usina_runner.Failure, match="STABLE_DIFFUSION_SAMPLER"):
            mine.paint(a_job(tmp_path / "b"), SQUARE, ORDER)
        painter(url, auth=("ana", "s3cret")).paint(a_job(tmp_path / "c"), SQUARE, ORDER)
        assert len(state.requests) == 2


class Watching(Channel):
    """Calls back at every look for a cancel, once the painting has begun."""

    def __init__(self, seen: Any) -> None:
        super().__init__()
        self._seen = seen

    def cancelled(self) -> bool:
        return bool(self._seen(self))


@pytest.mark.parametrize("page", [True, False])
def test_its_progress_is_shown_where_it_says_whose_it_is(page: bool, tmp_path: Path) -> None:
    with webui(page=page) as (state, url):
        state.stop_at, asked = 3, "/internal/progress" if page else "/sdapi/v1/progress"
        looks = 0

        def seen(channel: Channel) -> bool:
            nonlocal looks
            if state.held.is_set():
                looks = looks or len(state.paths)
                if state.paths[looks:].count(asked) > 2:
                    state.go.set()
            return False

        channel = Watching(seen)
        painter(url).paint(a_job(tmp_path, channel), SQUARE, ORDER)

    shares = [m["progress"] for m in channel.of("progress") if m["stage"] == "paint"]
    assert shares == sorted(shares)
    step = 0.45 + 0.4 * 3 / 5
    assert any(share == pytest.approx(step) for share in shares) is page


def test_a_cancel_interrupts_its_own_work(tmp_path: Path) -> None:
    with webui() as (state, url):
        state.stop_at = 2
        channel = Watching(lambda _: state.held.is_set())
        with pytest.raises(usina_runner.Cancelled):
            painter(url).paint(a_job(tmp_path, channel), SQUARE, ORDER)
        assert state.interrupts == 1
        with state.queue_lock:
            assert state.step == 2


def test_another_ones_work_is_waited_for_and_never_shown_or_stopped(tmp_path: Path) -> None:
    """Somebody at the server's own page is at the head of its queue."""
    with webui() as (state, url), state.working("task(of somebody)", 20):
        state.step = 15
        channel = Watching(lambda _: state.paths.count("/sdapi/v1/progress") > 3)
        with pytest.raises(usina_runner.Cancelled):
            painter(url).paint(a_job(tmp_path, channel), SQUARE, ORDER)
        assert (state.interrupts, state.requests) == (0, [])
        assert {m["stage"] for m in channel.of("progress")} == {"queue"}
        assert max(m["progress"] for m in channel.of("progress")) == 0


def test_who_came_between_is_not_interrupted(tmp_path: Path) -> None:
    """The server was idle, and yet another's work began first: ours waits in its queue."""
    with webui() as (state, url):
        begun = threading.Event()
        real, leave = state.img2img, threading.Event()

        def late(request: dict[str, Any]) -> dict[str, Any]:
            with state.working("task(of somebody)", 20):
                begun.set()
                leave.wait(60)
            return real(request)

        state.img2img = late  # type: ignore[method-assign]
        looks = Watching(lambda _: begun.is_set() and state.paths.count("/internal/progress") > 2)
        with pytest.raises(usina_runner.Cancelled):
            painter(url).paint(a_job(tmp_path, looks), SQUARE, ORDER)
        assert state.interrupts == 0
        shares = [m["progress"] for m in looks.of("progress") if m["stage"] == "paint"]
        assert set(shares) == {0.0}
        leave.set()


def test_jobs_take_turns_at_a_server_however_it_is_spelled(tmp_path: Path) -> None:
    with webui() as (state, url):
        other = url.replace("127.0.0.1", "localhost")
        with ThreadPoolExecutor(4) as pool:
            doing = [
                pool.submit(painter(one).paint, a_job(tmp_path / str(n)), SQUARE, ORDER)
                for n, one in enumerate((url, other, url, other))
            ]
            for each in doing:
                each.result()
        assert len(state.requests) == 4
        painting = [path for path in state.paths if path.endswith(("/img2img", "v1/progress"))]
        assert painting == ["/sdapi/v1/progress", "/sdapi/v1/img2img"] * 4


def test_the_stand_in_refuses_what_the_real_one_refuses() -> None:
    state = Webui()
    with pytest.raises(Exception, match="422"):
        state.img2img({"init_images": ["x"], "steps": "many"})
    with pytest.raises(Exception, match="404"):
        state.img2img({"steps": 3})
    with pytest.raises(Exception, match="404"):
        state.img2img({"init_images": ["x"], "sampler_name": "None such"})
