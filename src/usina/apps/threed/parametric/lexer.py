"""A prompt as tokens of the grammar; what is not known stays a word of kind ``UNKNOWN``."""

import re
import unicodedata
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from usina.apps.threed.parametric.lexicon import AMBIGUOUS, FILLERS, Phrase, fold, lexicon
from usina.apps.threed.parametric.refusal import characters, too_long, unclear

LONGEST_PROMPT = 400
_LONGEST_PHRASE = 5
_SHOWN = 20
_FRACTIONS = {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}

_PATTERN = re.compile(
    r"""
      (?P<TEXT>   (?<!\d)"[^"]*" | “[^”]*” | «[^»]*» | (?<!\w)'[^']*'(?!\w) )
    | (?P<THREAD> \b m (?P<size>\d+(?:[.,]\d+)?) (?:\s*[x×]\s*(?P<long>\d+(?:[.,]\d+)?))?
                  (?:\s*mm)? (?![\w.]) )
    | (?P<HEX>    \#[0-9a-f]{6}\b )
    | (?P<NUMBER> (?:(?<![\w-])-)? (?: \d+\s+\d+/\d+ | \d+/\d+ | \d+[.,]\d+ | \d+ ) )
    | (?P<INCH>   (?<=\d)["″] )
    | (?P<TIMES>  (?<![^\W\d_])[x×*](?=[\s\d]) )
    | (?P<WORD>   [^\W\d_]+ )
    | (?P<BREAK>  [,;&+] )
    | (?P<BLANK>  \s+ | [.!?:()–—-] )
    | (?P<OTHER>  . )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """One token: its kind in the grammar, what it means, and how it was written."""

    kind: str
    value: Any
    said: str


def lex(prompt: str) -> list[Word]:
    """The words of a prompt that mean something, in order. Raises `InvalidInput` for a prompt that
    is too long, holds control characters or a number that can be read in two ways."""
    if len(prompt) > LONGEST_PROMPT:
        raise too_long(LONGEST_PROMPT)
    strange = [c for c in prompt if unicodedata.category(c) in _NO_TEXT and c not in "\t\n\r"]
    if strange:
        raise characters(strange)
    plain = unicodedata.normalize("NFC", prompt)
    for sign, words in _FRACTIONS.items():
        plain = re.sub(rf"(?<=\d){sign}", f" {words}", plain).replace(sign, words)
    return _settled(_meant([_raw(match) for match in _PATTERN.finditer(plain)]))


_NO_TEXT = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def _raw(match: re.Match[str]) -> Word:
    kind, said = str(match.lastgroup), match[0]
    if match["THREAD"]:
        long = match["long"]
        size = f"M{float(match['size'].replace(',', '.')):g}"
        return Word("THREAD", (size, _number(long) / 1000 if long else None), said)
    match kind:
        case "TEXT":
            return Word(kind, said[1:-1].strip(), said)
        case "NUMBER":
            return Word(kind, _number(said), said)
        case "HEX":
            return Word("COLOUR", said.lower(), said)
        case "INCH":
            return Word("UNIT", ("in", 0.0254), said)
        case "BREAK":
            return Word("_BREAK", None, said)
        case "OTHER":
            return Word("UNKNOWN", None, said)
        case _:
            return Word(kind, None, said)


def _number(said: str) -> float:
    if re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", said):
        thousand = said.replace(",", "")
        raise unclear(f"'{said}' may be read in two ways. Write {thousand}, or with a point.")
    whole, _, rest = said.rpartition(" ")
    try:
        return float(sum(Fraction(part.replace(",", ".")) for part in (*whole.split(), rest)))
    except (ZeroDivisionError, OverflowError):
        raise unclear(f"'{said[:_SHOWN]}' is no number that can be made.") from None


def _meant(raw: list[Word]) -> list[Word]:
    """Words looked up, the longest phrase first."""
    known = lexicon()
    words = [word for word in raw if word.kind != "BLANK"]
    folded = [fold(word.said) if word.kind == "WORD" else "" for word in words]
    found: list[Word] = []
    at = 0
    while at < len(words):
        if words[at].kind != "WORD":
            found.append(words[at])
            at += 1
            continue
        size, meaning = _longest(known, folded, at)
        said = " ".join(word.said for word in words[at : at + size])
        after_number = bool(found) and found[-1].kind == "NUMBER"
        if meaning is None:
            found.append(Word("UNKNOWN", None, said))
        elif meaning[0] == "UNIT" and not after_number and folded[at] in FILLERS:
            pass
        elif meaning[0] != "FILLER":
            found.append(Word(*meaning, said))
        at += size
    return found


def _longest(
    known: dict[Phrase, tuple[str, Any]], folded: list[str], at: int
) -> tuple[int, tuple[str, Any] | None]:
    for size in range(min(_LONGEST_PHRASE, len(folded) - at), 0, -1):
        meaning = known.get(tuple(folded[at : at + size]))
        if meaning:
            return size, meaning
    return 1, None


def _settled(words: list[Word]) -> list[Word]:
    """Ambiguous words are objects where there is no other."""
    if any(word.kind == "OBJECT" for word in words):
        return words
    settled: list[Word] = []
    for word in words:
        name = _object_in(word)
        settled.append(replace(word, kind="OBJECT", value=name) if name else word)
    return settled


def _object_in(word: Word) -> str | None:
    folded = fold(word.said)
    for ambiguous, name in AMBIGUOUS.items():
        if word.kind in ("PART", "MATERIAL") and _singular(folded) == _singular(ambiguous):
            return name
    return None


def _singular(word: str) -> str:
    return "shelf" if word == "shelves" else re.sub(r"(?<!s)s$|(?<=ss)es$", "", word)
