"""`usina demo`."""

from pathlib import Path
from typing import Annotated

import typer

from usina.faces.cli.failure import ExitCode
from usina.faces.cli.output import JsonFlag, say, show_one


def demo(
    out: Annotated[
        Path, typer.Option(file_okay=False, metavar="DIR", help="Where the results go.")
    ] = Path("usina-demo"),
    json: JsonFlag = False,
) -> None:
    """Run real jobs on real pictures and leave what they make in a folder.

    It has a platform of its own, on a free port, which is stopped at the end.
    """
    from usina.faces.cli.demo.page import write_page
    from usina.faces.cli.demo.stage import own_platform
    from usina.faces.cli.demo.work import perform

    out.mkdir(parents=True, exist_ok=True)
    with own_platform(out / ".usina") as address:
        results = perform(address, out)
    index = write_page(out, results)
    for result in results:
        if result.failure:
            say(f"{result.piece.title}: {result.failure}")
    paths = [str(path) for result in results for path in result.paths]
    jobs = [
        {
            "model": result.piece.model,
            "picture": result.piece.picture,
            "job": result.job.model_dump(mode="json") if result.job else None,
            "files": [str(path) for path in result.paths],
            "failure": result.failure,
        }
        for result in results
    ]
    show_one({"jobs": jobs, "index": str(index)}, *paths, str(index))
    succeeded = bool(results) and not any(result.failure for result in results)
    raise typer.Exit(ExitCode.OK if succeeded else ExitCode.JOB_FAILED)
