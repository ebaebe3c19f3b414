"""From what is said about an object to the arguments of its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from usina.apps.threed.finish import COLOURS, MATERIALS
from usina.apps.threed.parametric.body import Body, Part
from usina.apps.threed.parametric.catalogue import BY_NAME
from usina.apps.threed.parametric.fastener import METRIC
from usina.apps.threed.parametric.lettering import can_write
from usina.apps.threed.parametric.measure import Bound, Chance, Choice, Count, Size, Words
from usina.apps.threed.parametric.prompt import Phrase, Piece, read
from usina.apps.threed.parametric.refusal import (
    conflict,
    not_applicable,
    out_of_range,
    text_letters,
    unclear,
)
from usina.apps.threed.parametric.sizing import Given, Sizing
from usina.apps.threed.parametric.thing import Parameter, Thing

MOST_OBJECTS = 20
_MILLIMETRE = ("mm", 1e-3)


@dataclass(slots=True)
class Order:
    """One object as understood, ``count`` times; ``others`` are the arguments of its function that
    are no lengths, without the seed."""

    thing: Thing
    sizing: Sizing
    count: int = 1
    colour: str | None = None
    material: str | None = None
    others: dict[str, Any] = field(default_factory=dict[str, Any])

    def make(self, seed: int) -> Made:
        """All of them; only where chance is at work do they differ, and the first has ``seed``."""
        chance = self.thing.of_kind(Chance)
        bodies: list[Body] = []
        lengths: dict[str, float] = {}
        for number in range(self.count if chance else 1):
            luck = {chance[0].name: seed + number} if chance else {}
            body, lengths = self.sizing.build(self.others | luck)
            bodies.append(tuple(self._dyed(part) for part in body))
        return Made(bodies if chance else bodies * self.count, self._understood(bodies[0], lengths))

    def _understood(self, body: Body, lengths: dict[str, float]) -> dict[str, Any]:
        worn = next(part.finish for part in body if part.dyed)
        return {
            "object": self.thing.name,
            "count": self.count,
            "dimensions_m": {name: round(value, 9) for name, value in lengths.items()},
            "colour": worn.colour,
            "material": worn.material,
            **self.others,
        }

    def _dyed(self, part: Part) -> Part:
        if not part.dyed:
            return part
        finish = MATERIALS[self.material] if self.material else part.finish
        if self.colour:
            finish = finish.dyed(self.colour, _rgb(self.colour))
        return replace(part, finish=finish)


@dataclass(frozen=True, slots=True)
class Made:
    """The bodies of an order, copies being the same object; and its entry of the report's
    ``understood``."""

    bodies: list[Body]
    understood: dict[str, Any]


def take_order(prompt: str) -> list[Order]:
    """What a prompt asks for. Raises `InvalidInput` with a reason for anything that can not be
    followed to the letter."""
    orders = [_ordered(phrase) for phrase in read(prompt)]
    total = sum(order.count for order in orders)
    if total > MOST_OBJECTS:
        raise out_of_range("one scene", f"{total} objects", f"1 to {MOST_OBJECTS}")
    return orders


def _ordered(phrase: Phrase) -> Order:
    thing = BY_NAME[phrase.thing]
    order = Order(thing, Sizing(thing), others=dict(thing.given))
    said: dict[str, str] = {}
    for piece in phrase.pieces:
        if piece.kind in _HEARD:
            _HEARD[piece.kind](order, piece, said)
    if phrase.misplaced:
        raise unclear(
            f"'{phrase.misplaced.said}' is a number of what? Put how many there are before the "
            "name, and a unit behind a length."
        )
    _complete(order)
    return order


def _once(said: dict[str, str], about: str, piece: Piece) -> None:
    if about in said:
        raise conflict(about, [said[about], piece.said])
    said[about] = piece.said


def _hear_colour(order: Order, piece: Piece, said: dict[str, str]) -> None:
    _once(said, "the colour", piece)
    order.colour = piece.value("COLOUR")


def _hear_material(order: Order, piece: Piece, said: dict[str, str]) -> None:
    _once(said, "the material", piece)
    order.material = piece.value("MATERIAL")


def _hear_count(order: Order, piece: Piece, said: dict[str, str]) -> None:
    _once(said, "how many there are", piece)
    number = piece.value("NUMBER")
    if number != int(number) or not 1 <= number <= MOST_OBJECTS:
        raise out_of_range("how many there are", f"'{piece.said}'", f"1 to {MOST_OBJECTS}")
    order.count = int(number)


def _hear_part(order: Order, piece: Piece, said: dict[str, str]) -> None:
    parameter = _taken(order, piece, piece.value("PART"), Count)
    _once(said, f"the {parameter.name}", piece)
    number, bound = piece.value("NUMBER"), parameter.bound
    assert isinstance(bound, Count)
    if number != int(number) or not bound.low <= number <= bound.high:
        whole = f"the {parameter.name} of a {order.thing.name}"
        raise out_of_range(whole, f"'{piece.said}'", f"{bound.low} to {bound.high}")
    order.others[parameter.name] = int(number)


def _hear_option(order: Order, piece: Piece, said: dict[str, str]) -> None:
    parameter = _taken(order, piece, piece.value("OPTION"), Choice)
    wanted = piece.value("WITHOUT") is None
    if order.thing.given.get(parameter.name, wanted) != wanted:
        raise conflict(f"the {parameter.name}", [order.thing.name, piece.said])
    _once(said, f"the {parameter.name}", piece)
    order.others[parameter.name] = wanted


def _hear_thread(order: Order, piece: Piece, said: dict[str, str]) -> None:
    sizes = order.thing.of_kind(Size)
    if not sizes:
        raise not_applicable(order.thing.name, piece.said, order.thing.takes())
    _once(said, "the thread", piece)
    name, length = piece.value("THREAD")
    if name not in METRIC:
        raise out_of_range("a metric thread", f"'{piece.said}'", ", ".join(METRIC))
    order.others[sizes[0].name] = name
    if length is not None:
        order.sizing.give("length", Given(length, _MILLIMETRE, piece.said))


def _hear_text(order: Order, piece: Piece, said: dict[str, str]) -> None:
    fields = order.thing.of_kind(Words)
    if not fields:
        raise not_applicable(order.thing.name, piece.said, order.thing.takes())
    _once(said, "the text", piece)
    text, bound = " ".join(piece.value("TEXT").split()), fields[0].bound
    assert isinstance(bound, Words)
    if not 1 <= len(text) <= bound.most:
        long = f"a text of {len(text)} characters"
        raise out_of_range("a sign", long, f"1 to {bound.most} characters")
    unknown = [letter for letter in text if not can_write(letter)]
    if unknown:
        raise text_letters(unknown)
    order.others[fields[0].name] = text


def _hear_scale(order: Order, piece: Piece, said: dict[str, str]) -> None:
    order.sizing.scale(piece.value("SCALE"), piece.said)


def _hear_stretch(order: Order, piece: Piece, said: dict[str, str]) -> None:
    dimension, factor = piece.value("STRETCH") or piece.value("ADJECTIVE")
    order.sizing.stretch(dimension, factor, piece.said)


def _hear_measure(order: Order, piece: Piece, said: dict[str, str]) -> None:
    adjective = piece.value("ADJECTIVE")
    dimension = adjective[0] if adjective else piece.value("DIMENSION")
    unit = piece.value("UNIT") or (_MILLIMETRE if dimension == "module" else None)
    if unit is None:
        raise unclear(f"'{piece.said}' needs a unit: mm, cm, m or in.")
    metres = piece.value("NUMBER") * unit[1]
    order.sizing.give(dimension, Given(metres, unit, piece.said))


def _hear_product(order: Order, piece: Piece, said: dict[str, str]) -> None:
    sides: list[tuple[float, Any]] = []
    for word in piece.words:
        if word.kind == "NUMBER":
            sides.append((word.value, None))
        elif word.kind == "UNIT":
            sides[-1] = (sides[-1][0], word.value)
    last = sides[-1][1]
    if last is None:
        raise unclear(f"'{piece.said}' needs a unit: mm, cm, m or in.")
    order.sizing.give_product(
        [Given(number * (unit or last)[1], unit or last, piece.said) for number, unit in sides],
        piece.said,
    )


_HEARD: dict[str, Callable[[Order, Piece, dict[str, str]], None]] = {
    "colour": _hear_colour,
    "count": _hear_count,
    "material": _hear_material,
    "measure": _hear_measure,
    "option": _hear_option,
    "part": _hear_part,
    "product": _hear_product,
    "scale": _hear_scale,
    "stretch": _hear_stretch,
    "text": _hear_text,
    "thread": _hear_thread,
}


def _taken(order: Order, piece: Piece, name: str, kind: type[Bound]) -> Parameter:
    parameter = order.thing.parameter(name)
    if parameter is None or not isinstance(parameter.bound, kind):
        raise not_applicable(order.thing.name, piece.said, order.thing.takes())
    return parameter


def _complete(order: Order) -> None:
    """What nobody said gets its usual value; what a sign says has none."""
    for parameter in order.thing.parameters:
        if isinstance(parameter.bound, Words) and parameter.name not in order.others:
            raise unclear('What does it say? Put the words in quotes, as in: sign "OPEN".')
        if isinstance(parameter.bound, (Count, Choice, Size)):
            order.others.setdefault(parameter.name, parameter.default)
    order.sizing.lengths()


def _rgb(colour: str) -> tuple[int, int, int]:
    if colour in COLOURS:
        return COLOURS[colour]
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
