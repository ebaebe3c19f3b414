"""`usina db`: the schema, and moving from one machine to many."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.board import board
from usina.faces.cli.output import JsonFlag, json_wanted, say, show_json, show_one, show_pairs, size
from usina.faces.cli.setting import DataOption

if TYPE_CHECKING:
    from usina.kernel.moving.move import MoveReport

app = typer.Typer(help="The database: upgrade, revision, copy.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(data: DataOption = None, json: JsonFlag = False) -> None:
    """Bring the schema to the newest revision and print its name."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import upgrade_database

    revision = upgrade_database(settings_with(data=data))
    show_one({"revision": revision}, revision)


@app.command("revision")
def revision(data: DataOption = None, json: JsonFlag = False) -> None:
    """Print the revision of the schema, and the one that this Usina wants."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import revision as look

    found = look(settings_with(data=data))
    if not json and found.revision != found.head:
        say("They differ: `usina db upgrade` brings the schema there.")
    show_one(asdict(found), f"revision {found.revision or 'none'}", f"head {found.head}")


@app.command("copy")
def copy(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            file_okay=False,
            metavar="DIR",
            help="The data folder to copy; else that of the settings.",
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--to",
            file_okay=False,
            metavar="DIR",
            help="The data folder to copy to; else DATABASE_URL and USINA_STORAGE_URL.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Copy a platform that is stopped, with its files, from one machine to many or back.

    With --from it goes from a data folder to DATABASE_URL and USINA_STORAGE_URL, with --to from
    there into a data folder. Stopped midway, it goes on when it is started again.
    """
    from usina.faces.cli.setting import settings_with
    from usina.kernel.telemetry import configure_logging
    from usina.moving import copy as copy_platform

    settings = settings_with()
    level = "debug" if settings.log_level == "debug" else "warning"
    configure_logging(level, settings.log_format)
    with board() as shown:
        rows = shown.row("rows"), shown.row("objects")

        def watch(what: str, done: int, total: int) -> None:
            row, text = (rows[1], "") if what == "objects" else (rows[0], what)
            row.show(text, done / total if total else 1.0)

        report = copy_platform(settings, source, target, watch)
    _tell(report, target)


def _tell(report: "MoveReport", target: Path | None) -> None:
    if json_wanted():
        show_json(asdict(report))
        return
    objects = report.objects
    show_pairs(
        [
            ("platform", report.platform_id),
            *((name, str(count)) for name, count in report.tables.items() if count),
            ("objects", f"{objects.copied} copied, {objects.present} were there already"),
            ("bytes", size(objects.size_bytes)),
            ("verified", "rows of every table counted, size of every object compared"),
        ]
    )
    if report.requeued:
        say(f"{report.requeued} jobs were running when the source ended; they start again.")
    for key in objects.damaged:
        say(f"damaged in the source already, copied as it is: {key}")
    if target is None:
        say("Next: start `usina api`, `usina worker` and `usina beat` with these settings.")
    else:
        say(f"Next: usina up --data {target}")
    say("Never start the source again beside it: both would run the same jobs.")
