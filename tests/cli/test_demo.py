"""`usina demo`: its page, and its way from a picture to files on a platform of its own."""

import fcntl
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.cli.conftest import Usina
from tests.client.fake import job
from usina.faces.cli.demo.page import write_page
from usina.faces.cli.demo.piece import PIECES, Piece, picture_of
from usina.faces.cli.demo.work import Result
from usina_client import Job

SMALL = Piece("inflate-v1", "horse.png", "A horse.", {"texture_size": 256, "target_faces": 1000})


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    chosen: list[Piece] = []
    monkeypatch.setattr("usina.faces.cli.demo.work.PIECES", chosen)
    return chosen


def test_every_picture_is_there() -> None:
    pictures = [picture_of(piece) for piece in PIECES if piece.picture]
    assert all(picture and picture.is_file() for picture in pictures)
    titles = [piece.title for piece in PIECES]
    for place, piece in enumerate(PIECES):
        if piece.made_of:
            assert piece.part
            assert piece.made_of in titles[:place]
    assert len({piece.title for piece in PIECES}) == len(PIECES)


def test_a_demo_leaves_its_results_and_no_platform(
    pieces: list[Piece], usina: Usina, tmp_path: Path
) -> None:
    pieces.append(SMALL)

    done = usina("demo", "--json")

    assert done.code == 0, done.err
    (made,) = done.json["jobs"]
    assert (made["model"], made["job"]["status"]) == ("inflate-v1", "SUCCEEDED")
    folder = tmp_path / "usina-demo" / "inflate-v1" / "horse"
    assert {"mesh.glb", "preview.png", "report.json"} <= {each.name for each in folder.iterdir()}
    assert done.json["index"] == "usina-demo/index.html"
    for link in links(tmp_path / "usina-demo" / "index.html"):
        assert (tmp_path / "usina-demo" / link).is_file()
    with (tmp_path / "usina-demo" / ".usina" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any more


def test_words_need_no_picture(pieces: list[Piece], usina: Usina, tmp_path: Path) -> None:
    pieces.append(Piece("parametric-v1", None, "A ball.", {"prompt": "red ball"}, "ball"))

    done = usina("demo", "--json")

    assert done.code == 0, done.err
    assert (done.json["jobs"][0]["picture"], done.json["jobs"][0]["failure"]) == (None, "")
    page = (tmp_path / "usina-demo" / "index.html").read_text()
    assert "usina run parametric-v1 --param &#x27;prompt=red ball&#x27;" in page
    assert "the picture" not in page


def test_a_piece_is_made_of_what_another_left(
    pieces: list[Piece], usina: Usina, tmp_path: Path
) -> None:
    pieces += [
        Piece("parametric-v1", None, "A ball.", {"prompt": "red ball"}, "ball"),
        Piece("echo-v1", None, "Of nothing.", {}, "nothing", made_of="packed-bed-v9 x", part="y"),
        Piece(
            "relief-v1",
            None,
            "Its picture.",
            {"texture_size": 256, "target_faces": 1000},
            "picture",
            made_of="parametric-v1 ball",
            part="preview.png",
        ),
    ]

    done = usina("demo", "--json")

    assert "echo-v1 nothing is left out: it is made of packed-bed-v9 x" in done.err
    ball, picture = done.json["jobs"]
    assert ball["failure"] == picture["failure"] == ""
    preview = next(each for each in ball["job"]["artifacts"] if each["name"] == "preview.png")
    assert picture["job"]["inputs"] == {"image": preview["id"]}
    page = (tmp_path / "usina-demo" / "index.html").read_text()
    assert "usina run relief-v1 image=preview.png" in page


def test_a_demo_with_a_failure_says_so_and_goes_on(
    pieces: list[Piece], usina: Usina, tmp_path: Path
) -> None:
    pieces += [
        Piece("inflate-v1", "horse.png", "Refused.", {"texture_size": -1}),
        Piece("no-such-model", "horse.png", "Left out."),
    ]

    done = usina("demo", "--out", "made")

    assert done.code == 3
    assert "no-such-model horse is left out: it is not in the catalogue" in done.err
    assert "inflate-v1 horse: " in done.err
    assert "0 of 1 jobs succeeded" in (tmp_path / "made" / "index.html").read_text()


def test_the_page_trusts_no_words_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    report = {"vertices": 12345, "watertight": False, "warnings": [{"message": "<b>torn</b>"}]}
    result = result_in(tmp_path, report, 'x" onerror="alert(1).png')

    page = write_page(tmp_path, [result]).read_text()

    assert "&lt;b&gt;torn&lt;/b&gt;" in page
    assert "<b>torn" not in page
    assert 'onerror="' not in page
    assert "12\u202f345" in page
    assert "preview.png" in links_of_pictures(page)[1]
    assert "turntable.webp" in links_of_pictures(page)[2]
    assert "http" not in page.replace("http-equiv", "")
    assert "$" not in page


def test_the_large_picture_is_the_preview_with_or_without_an_input(tmp_path: Path) -> None:
    result = result_in(tmp_path, {"volume_m3": 69.5146}, "a.png")
    alone = replace(result, picture=None)

    page = write_page(tmp_path, [result, alone]).read_text()

    roles = re.findall(r'<figure class="(\w+)"><img src="([^"]+)"', page)
    assert [role for role, _ in roles] == ["input", "preview", "turntable", "preview", "turntable"]
    assert {link for role, link in roles if role == "preview"} == {"preview.png"}
    assert "69.5 m³" in page


@pytest.mark.parametrize("report", [[], {}, {"warnings": "none", "vertices": "many"}, 7])
def test_a_strange_report_does_not_break_the_page(tmp_path: Path, report: Any) -> None:
    page = write_page(tmp_path, [result_in(tmp_path, report, "a.png")]).read_text()

    assert "1 of 1 jobs succeeded" in page


def test_a_failure_stands_on_the_page(tmp_path: Path) -> None:
    failed = Result(SMALL, tmp_path / "a.png", 1.0, failure="FAILED: <it> broke")

    page = write_page(tmp_path, [failed]).read_text()

    assert "0 of 1 jobs succeeded" in page
    assert "FAILED: &lt;it&gt; broke" in page


def result_in(folder: Path, report: Any, picture: str) -> Result:
    (folder / "report.json").write_text(json.dumps(report))
    for name in ("preview.png", "turntable.webp"):
        (folder / name).write_bytes(b"drawn")
    (folder / picture).write_bytes(b"png")
    metrics = {"queued_seconds": 0.1, "run_seconds": 2.5, "peak_memory_bytes": 1}
    return Result(
        SMALL,
        folder / picture,
        3.0,
        Job(**job("SUCCEEDED", metrics=metrics)),
        [folder / "preview.png", folder / "turntable.webp", folder / "report.json"],
    )


def links_of_pictures(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page)


def links(page: Path) -> list[str]:
    return [unquote(link) for link in re.findall(r'(?:src|href)="([^"]+)"', page.read_text())]
