"""The console entry point: every command, and every failure as an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from usina import __version__
from usina.faces.cli import (
    admin,
    bed,
    database,
    file,
    identity,
    job,
    model,
    queue,
    runner,
    schedule,
    webhook,
)
from usina.faces.cli import worker as workers
from usina.faces.cli.demo.command import demo
from usina.faces.cli.doctor import doctor
from usina.faces.cli.failure import ExitCode, report
from usina.faces.cli.output import JsonFlag, forget_json, show, want_json
from usina.faces.cli.parts import api, beat, worker
from usina.faces.cli.run import run
from usina.faces.cli.seed import seed
from usina.faces.cli.up import up

_WORK, _PLATFORM = "Work", "Platform"


def _show_version(value: bool) -> None:
    if value:
        show(f"usina {__version__}")
        raise typer.Exit


def _root(
    json: JsonFlag = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Usina turns uploads into artifacts.

    The commands talk to USINA_URL with USINA_API_KEY, else to the platform of the data folder,
    which is started in the background if it is not up.
    """


def build() -> typer.Typer:
    """The command line as a typer application."""
    pretty = sys.stdout.isatty()
    app = typer.Typer(
        callback=_root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown" if pretty else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(rich_help_panel=_WORK)(run)
    app.add_typer(model.app, name="models", rich_help_panel=_WORK)
    app.add_typer(job.app, name="jobs", rich_help_panel=_WORK)
    app.add_typer(file.app, name="files", rich_help_panel=_WORK)
    app.add_typer(bed.app, name="beds", rich_help_panel=_WORK)
    app.add_typer(schedule.app, name="schedules", rich_help_panel=_WORK)
    app.add_typer(webhook.app, name="webhooks", rich_help_panel=_WORK)
    app.add_typer(identity.keys, name="keys", rich_help_panel=_WORK)
    app.command(rich_help_panel=_WORK)(identity.whoami)
    app.command(rich_help_panel=_WORK)(identity.audit)
    app.command(rich_help_panel=_WORK)(demo)
    app.add_typer(runner.app, name="runner", rich_help_panel=_WORK)
    app.command(rich_help_panel=_PLATFORM)(up)
    app.command(rich_help_panel=_PLATFORM)(api)
    app.command(rich_help_panel=_PLATFORM)(worker)
    app.command(rich_help_panel=_PLATFORM)(beat)
    app.add_typer(queue.app, name="queues", rich_help_panel=_PLATFORM)
    app.add_typer(workers.app, name="workers", rich_help_panel=_PLATFORM)
    app.command(rich_help_panel=_PLATFORM)(doctor)
    app.command(rich_help_panel=_PLATFORM)(seed)
    app.add_typer(admin.app, name="admin", rich_help_panel=_PLATFORM)
    app.add_typer(database.app, name="db", rich_help_panel=_PLATFORM)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    forget_json()
    try:
        return int(build()(given, prog_name="usina", standalone_mode=False) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERROR
    except (Exception, KeyboardInterrupt) as error:
        if "--json" in given:
            want_json(True)
        return report(error)


if __name__ == "__main__":
    sys.exit(main())
