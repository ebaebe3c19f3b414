"""`usina seed`: the first organization, its owner and its key."""

from usina.faces.cli.output import JsonFlag, say, show_one
from usina.faces.cli.setting import DataOption


def seed(data: DataOption = None, json: JsonFlag = False) -> None:
    """Make or update what FIRST_SUPERUSER_* name; safe to repeat."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import seed as run_seed

    report = run_seed(settings_with(data=data))
    if not json:
        say(*(report.changes or ["Nothing to do: all was there."]))
    show_one(
        {"organization_id": report.organization_id, "changes": list(report.changes)},
        report.organization_id,
    )
