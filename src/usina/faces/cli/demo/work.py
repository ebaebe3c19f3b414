"""The demo's jobs, all at once, each with its place on the board."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from usina.faces.cli.board import Row, board
from usina.faces.cli.demo.piece import PIECES, Piece, picture_of
from usina.faces.cli.follow import fetch, follow
from usina.faces.cli.output import say
from usina.faces.cli.platform import Address
from usina_client import AsyncClient, Job, Model, UsinaError


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a piece; `failure` is empty when all went well."""

    piece: Piece
    picture: Path | None
    seconds: float
    job: Job | None = None
    paths: list[Path] = field(default_factory=list[Path])
    failure: str = ""


def perform(address: Address, out: Path) -> list[Result]:
    """Every piece whose model can run here, side by side."""
    return asyncio.run(_perform(address, out))


async def _perform(address: Address, out: Path) -> list[Result]:
    async with address.async_client() as client:
        models = {model.name: model async for model in client.models.list()}
        pieces = [piece for piece in PIECES if _can_run(piece, models)]
        with board() as shown:
            rows = [shown.row(piece.title) for piece in pieces]
            work = (_make(client, *pair, out) for pair in zip(pieces, rows, strict=True))
            return list(await asyncio.gather(*work))


def _can_run(piece: Piece, models: Mapping[str, Model]) -> bool:
    model = models.get(piece.model)
    if model is None or not model.available:
        reason = model.unavailable_reason if model else "it is not in the catalogue"
        say(f"{piece.title} is left out: {reason}")
        return False
    return True


async def _make(client: AsyncClient, piece: Piece, row: Row, out: Path) -> Result:
    """One piece from its picture or words to its artifacts."""
    folder = out / piece.model / piece.stem
    folder.mkdir(parents=True, exist_ok=True)
    source = picture_of(piece)
    picture = Path(shutil.copy(source, folder / f"input-{source.name}")) if source else None
    begun = time.monotonic()
    job: Job | None = None
    paths: list[Path] = []
    failure = ""
    try:
        job = await client.jobs.submit(
            piece.model, piece.params, {piece.input: picture} if picture else {}
        )
        job = await follow(client, job.id, row)
        if job.succeeded:
            paths = await fetch(client, job.artifacts, folder, row)
            row.show("done", 1.0)
        else:
            failure = f"{job.status}: {job.error}\n{await client.jobs.log_tail(job.id)}"
    except UsinaError as error:
        failure = str(error)
        row.show("failed")
    return Result(piece, picture, time.monotonic() - begun, job, paths, failure)
