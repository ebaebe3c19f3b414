"""The demo's jobs, all at once, each with its place on the board."""

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence
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
        pieces: list[Piece] = []
        for piece in PIECES:
            if _can_run(piece, models) and _has_its_part(piece, pieces):
                pieces.append(piece)
        with board() as shown:
            rows = [shown.row(piece.title) for piece in pieces]
            made: dict[str, asyncio.Task[Result]] = {}
            for piece, row in zip(pieces, rows, strict=True):
                work = _make(client, piece, row, out, made.get(piece.made_of))
                made[piece.title] = asyncio.create_task(work)
            return list(await asyncio.gather(*made.values()))


def _can_run(piece: Piece, models: Mapping[str, Model]) -> bool:
    model = models.get(piece.model)
    if model is None or not model.available:
        reason = model.unavailable_reason if model else "it is not in the catalogue"
        say(f"{piece.title} is left out: {reason}")
        return False
    return True


def _has_its_part(piece: Piece, before: Sequence[Piece]) -> bool:
    """Whether what a piece is made of is made before it."""
    if piece.made_of and piece.made_of not in {each.title for each in before}:
        say(f"{piece.title} is left out: it is made of {piece.made_of}")
        return False
    return True


async def _make(
    client: AsyncClient, piece: Piece, row: Row, out: Path, whole: asyncio.Task[Result] | None
) -> Result:
    """One piece from its picture, its words or the `whole` that it is made of, to its artifacts."""
    folder = out / piece.model / piece.stem
    folder.mkdir(parents=True, exist_ok=True)
    source = picture_of(piece)
    picture = Path(shutil.copy(source, folder / f"input-{source.name}")) if source else None
    begun = time.monotonic()
    job: Job | None = None
    paths: list[Path] = []
    failure = ""
    try:
        given = await _part(piece, whole) if whole else picture
        job = await client.jobs.submit(
            piece.model, piece.params, {piece.input: given} if given else {}
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


async def _part(piece: Piece, whole: asyncio.Task[Result]) -> str:
    """The id of the artifact that a piece is made of."""
    job = (await whole).job
    found = [each.id for each in (job.artifacts if job else ()) if each.name == piece.part]
    if not found:
        raise UsinaError(f"{piece.made_of} left no {piece.part}.")
    return found[0]
