"""`usina db`: the schema."""

import typer

from usina.faces.cli.output import JsonFlag, show_one
from usina.faces.cli.setting import DataOption

app = typer.Typer(help="The database: upgrade.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(data: DataOption = None, json: JsonFlag = False) -> None:
    """Bring the schema to the newest revision and print its name."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import upgrade_database

    revision = upgrade_database(settings_with(data=data))
    show_one({"revision": revision}, revision)
