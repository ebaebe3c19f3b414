"""The classes that a caller names, of those that a detector knows."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from usina_runner import InvalidInput

_NUMBERED = re.compile(r"class-\d{1,5}")
_TOLD = 30


def chosen(wanted: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """By name, in any case; raises ``InvalidInput`` with what is close. Where no names are known,
    ``class-0`` and so on are."""
    by_name = {name.casefold(): name for name in known}
    picked: set[str] = set()
    strange: list[str] = []
    for name in wanted:
        found = by_name.get(name.casefold().strip())
        if found is None and not known and _NUMBERED.fullmatch(name):
            found = name
        if found is None:
            strange.append(name)
        else:
            picked.add(found)
    if strange:
        raise InvalidInput("unknown_class", _words(strange, known))
    return frozenset(picked)


def _words(strange: Sequence[str], known: Sequence[str]) -> str:
    parts: list[str] = []
    lower = {name.casefold(): name for name in known}
    for name in strange[:5]:
        close = get_close_matches(name.casefold(), lower, n=1)
        parts.append(f"{name[:60]!r}" + (f" (did you mean {lower[close[0]]!r}?)" if close else ""))
    shown = ", ".join(known[:_TOLD]) or "class-0, class-1 and so on, as it has no names"
    more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    return f"The detector knows no {', '.join(parts)}. It knows {shown}{more}."
