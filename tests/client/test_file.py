"""Bytes that go in, bytes that come out."""

import hashlib
import io
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from tests.client.conftest import done
from tests.client.fake import FakePlatform, answer, artifact, cut, file, problem, ranged
from usina_client import (
    Artifact,
    ChecksumError,
    File,
    InvalidRequestError,
    NotFoundError,
    TransportError,
    Upload,
)

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def accepts(platform: FakePlatform) -> FakePlatform:
    platform.on("POST /api/v1/files", lambda seen: answer(file(seen.files[0][3]), 201))
    return platform


async def test_a_path_goes_up_under_its_name(
    client: Any, accepts: FakePlatform, tmp_path: Path
) -> None:
    path = tmp_path / "my chair é.png"
    path.write_bytes(CONTENT)

    uploaded = await done(client.files.upload(path))

    assert uploaded.sha256 == hashlib.sha256(CONTENT).hexdigest()
    (part,) = accepts.seen[0].files
    assert part[:2] == ("file", "my chair é.png")
    assert part[3] == CONTENT
    assert "idempotency-key" in accepts.seen[0].headers


async def test_bytes_and_streams_go_up_under_a_given_name(
    client: Any, accepts: FakePlatform
) -> None:
    await done(client.files.upload(b"abc", name="a.txt", media_type="text/plain"))
    stream = io.BytesIO(b"skipped, sent")
    stream.seek(9)
    await done(client.files.upload(stream, name="b"))
    await done(client.files.upload(Upload(content=b"c", name="c.bin")))

    assert [seen.files[0] for seen in accepts.seen] == [
        ("file", "a.txt", "text/plain", b"abc"),
        ("file", "b", "application/octet-stream", b"sent"),
        ("file", "c.bin", "application/octet-stream", b"c"),
    ]


async def test_a_pipe_goes_up_without_a_length(client: Any, accepts: FakePlatform) -> None:
    read_end, write_end = os.pipe()

    def fill() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(CONTENT)

    writer = threading.Thread(target=fill)
    writer.start()
    seen: list[tuple[int, int | None]] = []
    with os.fdopen(read_end, "rb") as pipe:
        await done(client.files.upload(pipe, name="p", on_progress=lambda *pair: seen.append(pair)))
    writer.join()

    assert accepts.seen[0].files[0][3] == CONTENT
    assert accepts.seen[0].headers["transfer-encoding"] == "chunked"
    assert seen[-1] == (len(CONTENT), None)


async def test_progress_is_told_up_to_the_whole(
    client: Any, accepts: FakePlatform, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    seen: list[tuple[int, int | None]] = []

    await done(client.files.upload(path, on_progress=lambda *pair: seen.append(pair)))

    sent = [pair[0] for pair in seen]
    assert len(sent) > 1
    assert sent == sorted(sent)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert int(accepts.seen[0].headers["content-length"]) > len(CONTENT)


async def test_a_file_is_never_held_whole(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as handle:
        handle.truncate(64 * MIB)
    platform.on("POST /api/v1/files", answer(file(b""), 201))
    tracemalloc.start()
    try:
        # The answer comes from a server in this very process: nothing is parsed there.
        platform.blind = True
        await done(client.files.upload(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        platform.blind = False

    assert peak < 8 * MIB


async def test_an_upload_from_disk_is_repeated_from_its_start(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    platform.on("POST /api/v1/files", cut(b" " * 9, 3), answer(file(CONTENT), 201))

    await done(client.files.upload(path))

    first, second = platform.seen
    assert first.files[0][3] == second.files[0][3] == CONTENT
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


async def test_an_upload_from_a_pipe_is_not_repeated(client: Any, platform: FakePlatform) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"once")
    os.close(write_end)
    platform.on("POST /api/v1/files", cut(b" " * 9, 3))

    with os.fdopen(read_end, "rb") as pipe, pytest.raises(TransportError):
        await done(client.files.upload(pipe))

    assert len(platform.seen) == 1


async def test_a_missing_file_is_the_usual_error(client: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await done(client.files.upload(tmp_path / "none"))


async def test_a_refused_upload(client: Any, platform: FakePlatform) -> None:
    platform.on("POST /api/v1/files", problem(422, "empty_file"))

    with pytest.raises(InvalidRequestError) as caught:
        await done(client.files.upload(b"", name="e"))

    assert caught.value.code == "empty_file"


async def test_a_file_is_forgotten(client: Any, platform: FakePlatform) -> None:
    platform.on("DELETE /api/v1/files/f1", answer(None, 204))

    await done(client.files.delete("f1"))

    assert platform.seen[0].method == "DELETE"


def offers(platform: FakePlatform, content: Any, announced: bytes = CONTENT) -> None:
    platform.on("GET /api/v1/files/f1", answer(file(announced)))
    platform.on(
        "GET /api/v1/files/f1/content", *(content if isinstance(content, list) else [content])
    )


async def test_a_download_lands_under_the_name_in_a_folder(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    offers(platform, ranged(CONTENT))
    seen: list[tuple[int, int | None]] = []

    path = await done(
        client.files.download("f1", tmp_path, on_progress=lambda *pair: seen.append(pair))
    )

    assert path == tmp_path / "chair.png"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["chair.png"]


async def test_a_download_goes_on_where_it_broke(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    offers(platform, [cut(CONTENT, 300_000), ranged(CONTENT)])

    path = await done(client.files.download("f1", tmp_path / "out.bin"))

    assert path.read_bytes() == CONTENT
    again = platform.requests("GET /api/v1/files/f1/content")[1]
    assert again.headers["range"] == "bytes=300000-"


async def test_a_server_without_ranges_is_read_from_the_start(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    offers(platform, [cut(CONTENT, 300_000), Response(CONTENT)])

    path = await done(client.files.download("f1", tmp_path))

    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"x", CONTENT[:-1]])
async def test_wrong_bytes_never_appear(
    client: Any, platform: FakePlatform, tmp_path: Path, wrong: bytes
) -> None:
    offers(platform, Response(wrong))
    (tmp_path / "chair.png").write_bytes(b"the old one")

    with pytest.raises(ChecksumError, match=r"chair\.png"):
        await done(client.files.download("f1", tmp_path))

    assert (tmp_path / "chair.png").read_bytes() == b"the old one"
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_download_that_is_not_there_leaves_nothing(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    offers(platform, problem(404, "not_found"))

    with pytest.raises(NotFoundError):
        await done(client.files.download("f1", tmp_path))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.png", "a.png"),
        (".bashrc", "bashrc"),
        ("..", "artifact"),
        ("", "artifact"),
        ("a\nb\x00c.txt", "a_b_c.txt"),
        ("x" * 400, "x" * 200),
    ],
)
async def test_a_name_is_only_text(
    client: Any, platform: FakePlatform, tmp_path: Path, name: str, path: str
) -> None:
    platform.on("GET /api/v1/artifacts/a1/content", ranged(b"abc"))

    landed = await done(client.artifacts.download(Artifact(**artifact(b"abc", name)), tmp_path))

    assert landed == tmp_path / path


async def test_artifacts_by_id_and_in_memory(
    client: Any, platform: FakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.on("GET /api/v1/artifacts/a1", answer(artifact(b"glTF", "mesh.glb")))
    platform.on("GET /api/v1/artifacts/a1/content", ranged(b"glTF"))
    monkeypatch.chdir(tmp_path)

    path = await done(client.artifacts.download("a1"))

    assert path == Path("mesh.glb")
    assert path.read_bytes() == b"glTF"
    assert await done(client.artifacts.read("a1")) == b"glTF"
    assert (await done(client.artifacts.get("a1"))).kind == "model"


def test_the_models_are_frozen() -> None:
    known = File(**file(b"abc"))

    with pytest.raises(ValueError, match="frozen"):
        known.name = "other"
