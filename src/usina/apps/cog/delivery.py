"""What a prediction gave, of whatever kind, as artifacts and a report."""

import json
import mimetypes
import shutil
from collections.abc import Mapping
from typing import Any, Final, cast

from usina.apps.cog.envelope import DataFile
from usina_runner import Job

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"glTF", ".glb"),
    (b"%PDF-", ".pdf"),
    (b"PK\x03\x04", ".zip"),
    (b"ID3", ".mp3"),
    (b"OggS", ".ogg"),
    (b"fLaC", ".flac"),
    (b"\x1aE\xdf\xa3", ".webm"),
)
_RIFF: Final = {b"WEBP": ".webp", b"WAVE": ".wav", b"AVI ": ".avi"}
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".tiff", ".bmp", ".svg"})
_VIDEOS: Final = frozenset({".mp4", ".webm", ".avi", ".mov", ".mkv"})
_MODELS: Final = frozenset({".glb", ".gltf", ".obj", ".stl", ".ply"})
_LONGEST: Final = 16_384
"""Of an output as a report repeats it."""


def deliver(job: Job, output: Any, *, joined: bool, more: Mapping[str, Any]) -> None:
    """Files as they are, a text as ``output.txt``, all else as ``output.json``; the report says
    what was given, with the names of the files."""
    if joined and _is_texts(output):
        output = "".join(output)
    told = _Delivery(job, alone=not isinstance(output, list | dict)).named(output, "output")
    if isinstance(output, str):
        (job.outputs / "output.txt").write_text(output, "utf-8")
        job.artifact("output.txt", "data")
    elif not isinstance(output, DataFile) and not _is_files(output):
        (job.outputs / "output.json").write_text(json.dumps(told) + "\n", "utf-8")
        job.artifact("output.json", "data")
    short = len(json.dumps(told)) <= _LONGEST
    job.report({"output": told if short else None, "output_cut": not short, **more})


def _is_texts(output: Any) -> bool:
    return isinstance(output, list) and all(isinstance(e, str) for e in cast(list[Any], output))


def _is_files(output: Any) -> bool:
    """Whether it is a list of nothing but files."""
    if not isinstance(output, list) or not output:
        return False
    return all(isinstance(each, DataFile) for each in cast(list[Any], output))


class _Delivery:
    def __init__(self, job: Job, *, alone: bool) -> None:
        self._job = job
        self._alone = alone
        self._names: set[str] = set()

    def named(self, value: Any, place: str) -> Any:
        """The value with the names of artifacts in place of its files."""
        if isinstance(value, DataFile):
            return self._kept(value, place)
        if isinstance(value, list):
            each = enumerate(cast(list[Any], value), start=1)
            return [self.named(one, f"{place}-{number}") for number, one in each]
        if isinstance(value, dict):
            table = cast(dict[str, Any], value)
            return {key: self.named(one, f"{place}-{key}") for key, one in table.items()}
        return value

    def _kept(self, file: DataFile, place: str) -> str:
        ending = _ending(file)
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in place)
        name = f"{stem[:80]}{ending}"
        number = 1
        while name in self._names:
            number += 1
            name = f"{stem[:80]}-{number}{ending}"
        self._names.add(name)
        shutil.move(file.path, self._job.outputs / name)
        self._job.artifact(name, _kind(ending))
        return name


def _ending(file: DataFile) -> str:
    """As the bytes show it, else as was said."""
    with file.path.open("rb") as opened:
        head = opened.read(16)
    for magic, ending in _MAGIC:
        if head.startswith(magic):
            return ending
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return ".mp4"
    return mimetypes.guess_extension(file.media_type) or ".bin"


def _kind(ending: str) -> str:
    if ending in _IMAGES:
        return "image"
    if ending in _VIDEOS:
        return "video"
    return "model" if ending in _MODELS else "data"
