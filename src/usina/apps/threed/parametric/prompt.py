"""What a prompt says, piece by piece, gathered around its objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, Tree, UnexpectedInput
from lark.lexer import Lexer

from usina.apps.threed.parametric.catalogue import THINGS
from usina.apps.threed.parametric.lexer import Word, lex
from usina.apps.threed.parametric.lexicon import vocabulary
from usina.apps.threed.parametric.refusal import unclear, unknown_object, unknown_words


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is said: ``kind`` is a rule of the grammar, ``words`` what it is made of."""

    kind: str
    words: tuple[Word, ...]

    @property
    def said(self) -> str:
        return " ".join(word.said for word in self.words)

    def value(self, kind: str) -> Any:
        """The value of the first word of a kind; none where there is none."""
        return next((word.value for word in self.words if word.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Phrase:
    """An object with everything that is said about it; ``misplaced`` is a number behind its name
    that counts nothing."""

    thing: str
    pieces: tuple[Piece, ...]
    misplaced: Piece | None = None


def read(prompt: str) -> list[Phrase]:
    """The objects of a prompt. Raises `InvalidInput` where a word is not known or the words do not
    make sense together."""
    words = lex(prompt)
    _refuse_unknown(words)
    return _gathered(list(_parts(_parsed(words))))


def _refuse_unknown(words: list[Word]) -> None:
    unknown = [word.said for word in words if word.kind == "UNKNOWN"]
    if not any(word.kind == "OBJECT" for word in words):
        raise unknown_object(unknown, [thing.english[0] for thing in THINGS], vocabulary())
    if unknown:
        raise unknown_words(unknown, vocabulary())


def _parsed(words: list[Word]) -> list[Piece | None]:
    """The pieces in order; none stands for a break between parts."""
    try:
        tree: Tree[Token] = cast("Any", _parser()).parse(words)
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        said = cast("Word", token.value).said if token and token.type != "$END" else ""
        where = f"'{said}' does not fit where it stands" if said else "The prompt ends too early"
        raise unclear(
            f"{where}. Say for instance '3 red mugs 10 cm tall', 'gear module 2 with 24 teeth', "
            "'M8x40 bolt' or 'table with 3 legs'."
        ) from None
    return [_piece(child) for child in tree.children]


def _piece(child: Tree[Token] | Token) -> Piece | None:
    if isinstance(child, Token):
        return None
    tokens = child.scan_values(lambda value: isinstance(value, Token))
    return Piece(str(child.data), tuple(cast("Word", token.value) for token in tokens))


class _Words(Lexer):
    """Hands the words on that `lex` found."""

    def __init__(self, lexer_conf: Any) -> None: ...

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[Token]:
        for word in lexer_state:
            yield Token(word.kind, word)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_Words, keep_all_tokens=True)


def _parts(pieces: list[Piece | None]) -> Iterator[list[Piece]]:
    part: list[Piece] = []
    for piece in (*pieces, None):
        if piece is not None:
            part.append(piece)
        elif part:
            yield part
            part = []


def _gathered(parts: list[list[Piece]]) -> list[Phrase]:
    """Parts without an object speak of the one before them; before the first, of that."""
    phrases: list[Phrase] = []
    waiting: list[Piece] = []
    for part in parts:
        _refuse_ambiguous(part)
        nouns = [at for at, piece in enumerate(part) if piece.kind == "noun"]
        if len(nouns) > 1:
            names = " and ".join(f"'{part[at].said}'" for at in nouns)
            raise unclear(f"{names} stand side by side. Put a comma or 'and' between objects.")
        if not nouns and phrases:
            phrases[-1] = _more(phrases[-1], part)
        elif not nouns:
            waiting += part
        else:
            name = part[nouns[0]]
            before, behind = (*waiting, *part[: nouns[0]]), part[nouns[0] + 1 :]
            phrases.append(_more(Phrase(name.value("OBJECT"), before), behind))
            waiting = []
    return phrases


def _refuse_ambiguous(part: list[Piece]) -> None:
    """``5 cm height 3 cm``: which of the two is the height?"""
    for first, second in pairwise(part):
        if _kinds(first) == ["NUMBER", "UNIT", "DIMENSION"] and _kinds(second) == [
            "NUMBER",
            "UNIT",
        ]:
            said = f"{first.said} {second.said}"
            raise unclear(f"'{said}' may be read in two ways. Put a comma between lengths.")


def _kinds(piece: Piece) -> list[str]:
    return [word.kind for word in piece.words]


def _more(phrase: Phrase, behind: list[Piece]) -> Phrase:
    """The object with what is said behind its name."""
    number = next((piece for piece in behind if piece.kind == "count"), None)
    pieces = (*phrase.pieces, *(piece for piece in behind if piece.kind != "count"))
    return Phrase(phrase.thing, pieces, phrase.misplaced or number)
