"""From a `.bed` text to a bed; what is wrong is told with its line and column."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from lark import Lark, Token, Tree, UnexpectedInput

from usina.apps.cfd.bed.language.vocabulary import (
    DIMENSIONS,
    SECTIONS,
    Dimension,
    Entry,
    Kind,
    usual_generator,
)
from usina.apps.cfd.bed.plan import BedPlan, read_plan
from usina.kernel.errors import FieldError, Invalid
from usina.kernel.runners.form import suggestion

MOST_BYTES: Final = 64 * 1024
_MOST_DIGITS: Final = 40
_SHOWN: Final = 20
_AT: Final = "/file"


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = (Path(__file__).parent / "grammar.lark").read_text()
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def read_bed(text: str, plan: BedPlan) -> BedPlan:
    """The bed of the text, under the name of ``plan``.

    Raises ``Invalid`` at ``/file``: ``bed_syntax``, ``bed_word`` for one that is not known or
    stands twice, ``bed_unit``, ``bed_value``; what is out of its bounds is told at its place in
    the JSON.
    """
    found = _Found()
    for section in _sections(text):
        found.take(section)
    if "generator" not in found.values:
        packing = found.values.get("packing", {})
        found.values["generator"] = usual_generator(packing.get("method"))
    try:
        return read_plan({"name": plan.name, **found.values})
    except Invalid as refusal:
        raise found.placed(refusal) from refusal


def _sections(text: str) -> Iterator[Tree[Token]]:
    try:
        tree = _parser().parse(text)  # pyright: ignore[reportUnknownMemberType]
    except UnexpectedInput as error:
        raise Invalid.at(
            *_told(_place(error, text), _unexpected(error)), code="bed_syntax"
        ) from error
    if not tree.children:
        raise Invalid.at(
            *_told((1, 1), "there is no section here, such as bed { ... }"), code="bed_syntax"
        )
    yield from cast("list[Tree[Token]]", tree.children)


@dataclass(slots=True)
class _Found:
    """What the text says, and where it says it."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    places: dict[tuple[str, ...], tuple[int, int]] = field(
        default_factory=dict[tuple[str, ...], tuple[int, int]]
    )

    def take(self, section: Tree[Token]) -> None:
        name, *properties = cast("list[Any]", section.children)
        entries = SECTIONS.get(name)
        if entries is None:
            raise Invalid.at(
                *_told(_start(name), f"no section {_shown(name)}.{suggestion(name, SECTIONS)}"),
                code="bed_word",
            )
        for each in properties:
            word, value = each.children
            entry = entries.get(word)
            if entry is None:
                message = f"no {_shown(word)} in {name}.{suggestion(word, entries)}"
                raise Invalid.at(*_told(_start(word), message), code="bed_word")
            if entry.path in self.places:
                raise Invalid.at(
                    *_told(_start(word), f"{word} of {name} stands twice"), code="bed_word"
                )
            self.places[entry.path] = _start(word)
            into = self.values
            for part in entry.path[:-1]:
                into = into.setdefault(part, {})
            into[entry.path[-1]] = _value(word, value, entry)

    def placed(self, refusal: Invalid) -> Invalid:
        """The refusal with the line and column of every place that the text has."""
        told = [self._told(error) for error in refusal.errors]
        return Invalid(told[0].message, code=refusal.code, errors=told)

    def _told(self, error: FieldError) -> FieldError:
        parts = tuple(error.pointer.split("/")[1:])
        for length in range(len(parts), 0, -1):
            place = self.places.get(parts[:length])
            if place is not None:
                line, column = place
                return FieldError(error.pointer, f"line {line}, column {column}: {error.message}")
        return error


def _value(word: Token, value: Tree[Token], entry: Entry) -> Any:
    match value.data, entry.value:
        case "quantity", Dimension() as dimension:
            return _measure(word, value, dimension)
        case "quantity", Kind.NUMBER | Kind.WHOLE:
            return _bare_number(word, value, whole=entry.value is Kind.WHOLE)
        case "word", Kind.FLAG if value.children[0] in {"true", "false"}:
            return str(value.children[0]) == "true"
        case "word", Kind.WORD:
            return str(value.children[0])
        case "text", Kind.WORD:
            return str(value.children[0])[1:-1]
        case "words", Kind.WORDS:
            listed = cast("list[Token | None]", value.children)
            return [str(token)[1:-1] for token in listed if token is not None]
        case _:
            wanted = entry.value
            told = (
                f"a number with a unit such as {wanted.unit}"
                if isinstance(wanted, Dimension)
                else wanted.value
            )
            raise Invalid.at(*_told(_start(word), f"{word} takes {told}"), code="bed_value")


def _measure(word: Token, value: Tree[Token], dimension: Dimension) -> float:
    number, unit = cast("list[Any]", value.children)
    known = ", ".join(dimension.units)
    if unit is None:
        raise Invalid.at(*_told(_start(number), f"{word} needs its unit: {known}"), code="bed_unit")
    factor: str | None = dimension.units.get(str(unit))
    if factor is None:
        other = DIMENSIONS.get(str(unit))
        is_a = f"is a unit of {other.value}" if other else "is no unit of this format"
        message = f"{_shown(unit)} {is_a}; {word} is a {dimension.value} ({known})"
        raise Invalid.at(*_told(_start(unit), message), code="bed_unit")
    return _finite(number, Decimal(str(number)[:_MOST_DIGITS]) * Decimal(factor))


def _bare_number(word: Token, value: Tree[Token], *, whole: bool) -> float | int:
    number, unit = cast("list[Any]", value.children)
    if unit is not None:
        raise Invalid.at(*_told(_start(unit), f"{word} has no unit"), code="bed_unit")
    if not whole:
        return _finite(number, Decimal(str(number)[:_MOST_DIGITS]))
    digits = str(number).removeprefix("-")
    if not digits.isdecimal() or len(digits) > 18:
        raise Invalid.at(*_told(_start(number), f"{word} takes a whole number"), code="bed_value")
    return int(number)


def _finite(number: Token, value: Decimal) -> float:
    if len(number) > _MOST_DIGITS:
        raise Invalid.at(
            *_told(_start(number), f"a number of more than {_MOST_DIGITS} characters"),
            code="bed_value",
        )
    found = float(value)
    if not math.isfinite(found):
        raise Invalid.at(*_told(_start(number), "the number is out of range"), code="bed_value")
    return found


def _told(place: tuple[int, int], message: str) -> tuple[str, str]:
    return _AT, f"line {place[0]}, column {place[1]}: {message}"


def _start(token: Token) -> tuple[int, int]:
    return token.line or 1, token.column or 1


def _place(error: UnexpectedInput, text: str) -> tuple[int, int]:
    if error.line > 0:
        return error.line, error.column
    last = text.splitlines() or [""]
    return len(last), len(last[-1]) + 1


def _unexpected(error: UnexpectedInput) -> str:
    character: Any = getattr(error, "char", None)
    token: Any = getattr(error, "token", None)
    if character is not None:
        return f"the character {_shown(character)} can not stand here"
    if token is not None and token.type != "$END":
        return f"{_shown(token)} can not stand here"
    return "the text ends before its last section does"


def _shown(text: str) -> str:
    return ascii(text[:_SHOWN])
