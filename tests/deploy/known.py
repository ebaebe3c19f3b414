"""What the files of `deploy/` may name."""

from pydantic import AliasChoices

from usina.settings import Settings, variable_of


def _names(field: str) -> set[str]:
    alias = Settings.model_fields[field].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else []
    return {variable_of(field), *(str(name) for name in choices if str(name).isupper())}


VARIABLES = {name for field in Settings.model_fields for name in _names(field)}
"""Every name under which a setting may be given."""
