"""The server's settings, as the commands on its machine need them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.failure import CommandError

if TYPE_CHECKING:
    from usina.settings import Settings


DataOption = Annotated[
    Path | None, typer.Option(file_okay=False, metavar="DIR", help="The data folder.")
]


def settings_with(**given: Path | str | int | None) -> "Settings":
    """The settings in force, options first; CommandError names the variable that is wrong."""
    from pydantic import ValidationError

    from usina.settings import Settings, variable_of

    options = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings.model_validate(options)
    except ValidationError as error:
        known = Settings.model_fields
        places: list[str] = []
        for each in error.errors():
            if not each["loc"]:  # two settings that do not go together; the message names them
                places.append(each["msg"].removeprefix("Value error, "))
                continue
            name = str(each["loc"][0])
            variable = variable_of(name) if name in known else name
            places.append(f"{f'--{name}' if name in options else variable}: {each['msg']}")
        raise CommandError("A setting is wrong. " + "; ".join(places)) from None
