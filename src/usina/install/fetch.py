"""Fetching large files: goes on where it stopped, and what came is what was meant."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from usina.install.place import InstallError

Progress = Callable[[str, float | None], None]
"""Told what is done, and the share of it that is, if that is known."""

_STEP: Final = 1024**2
_PATIENCE: Final = httpx2.Timeout(30, read=120)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file: from where, its hash and size as far as they are known, how access is got."""

    url: str
    label: str
    sha256: str | None = None
    size_bytes: int | None = None
    token: str | None = None
    gate: str = ""


def fetch(wanted: Wanted, target: Path, progress: Progress) -> str:
    """Brings the file to ``target`` and returns its SHA-256; raises `InstallError`.

    What was fetched of it before is kept beside it and not fetched again, unless it was refused.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    source = hashlib.sha256(f"{wanted.url} {wanted.sha256}".encode()).hexdigest()[:12]
    part = target.with_name(f"{target.name}.{source}.part")
    try:
        _bring(wanted, part, progress)
    except httpx2.HTTPError as error:
        kept = part.stat().st_size if part.exists() else 0
        again = f" {kept} bytes of it are kept: run it again to go on." if kept else ""
        why = str(error) or type(error).__name__
        raise InstallError(f"{wanted.label} could not be fetched: {why}.{again}") from error
    found = hashed(part, lambda share: progress(f"checking {wanted.label}", share))
    size = part.stat().st_size
    if wanted.size_bytes not in (None, size):
        part.unlink()
        raise InstallError(f"{wanted.label} has {size} bytes instead of {wanted.size_bytes}.")
    if wanted.sha256 not in (None, found):
        part.unlink()
        raise InstallError(
            f"{wanted.label} is not what it should be: its SHA-256 is {found} instead of "
            f"{wanted.sha256}. It was thrown away."
        )
    part.replace(target)
    return found


def hashed(path: Path, progress: Callable[[float], None] = lambda share: None) -> str:
    """The SHA-256 of a file."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while step := file.read(_STEP):
            digest.update(step)
            done += len(step)
            progress(done / size)
    return digest.hexdigest()


def _bring(wanted: Wanted, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have and have == wanted.size_bytes:
        return
    headers = {"accept-encoding": "identity"}
    if wanted.token:
        headers["authorization"] = f"Bearer {wanted.token}"
    if have:
        headers["range"] = f"bytes={have}-"
    with (
        httpx2.Client(follow_redirects=True, timeout=_PATIENCE) as client,
        client.stream("GET", wanted.url, headers=headers) as answer,
    ):
        if answer.status_code == 416 and have:
            return  # all of it was there already; its hash tells
        if answer.status_code not in (200, 206):
            part.unlink(missing_ok=True)
            raise InstallError(_refused(wanted, answer.status_code))
        goes_on = answer.status_code == 206
        length = answer.headers.get("content-length")
        total = int(length) + (have if goes_on else 0) if length else wanted.size_bytes
        done = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for step in answer.iter_raw():
                file.write(step)
                done += len(step)
                progress(f"fetching {wanted.label}", done / total if total else None)


def _refused(wanted: Wanted, status: int) -> str:
    if status in (401, 403):
        return f"{wanted.label} is not handed out ({status}). {wanted.gate}".rstrip()
    return f"{wanted.label} is not there: its server answered {status}."
