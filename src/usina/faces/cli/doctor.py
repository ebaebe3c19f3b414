"""`usina doctor`: what works here, what does not, and the fix."""

from itertools import groupby
from typing import TYPE_CHECKING, Final

import typer

from usina.faces.cli.failure import ExitCode
from usina.faces.cli.output import JsonFlag, show, show_json, show_pairs
from usina.faces.cli.setting import DataOption

if TYPE_CHECKING:
    from usina.doctor import Check

_SIGNS: Final = {True: "ok  ", None: "warn", False: "no  "}


def doctor(data: DataOption = None, json: JsonFlag = False) -> None:
    """Tell what works here and what does not, with the fix; the settings in force at the end.

    Exits with 0 when the platform itself can run, models missing or not.
    """
    from usina.doctor import diagnose, settings_in_force
    from usina.faces.cli.setting import settings_with

    settings = settings_with(data=data)
    checks, in_force = diagnose(settings), settings_in_force(settings)
    if json:
        fields = ("area", "name", "ok", "detail", "fix")
        show_json(
            {
                "checks": [{name: getattr(each, name) for name in fields} for each in checks],
                "settings": dict(in_force),
            }
        )
    else:
        _show(checks)
        show("", "Settings in force")
        show_pairs([(f"  {name}", value) for name, value in in_force])
    broken = any(each.area == "platform" and each.ok is False for each in checks)
    raise typer.Exit(ExitCode.ERROR if broken else ExitCode.OK)


def _show(checks: "list[Check]") -> None:
    width = max(len(each.name) for each in checks)
    for area, members in groupby(checks, key=lambda each: each.area):
        show(area.capitalize())
        for each in members:
            show(f"  {_SIGNS[each.ok]}  {each.name:<{width}}  {each.detail}")
            if each.fix:
                show(f"  {'':<{width + 6}}  fix: {each.fix}")
