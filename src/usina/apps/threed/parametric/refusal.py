"""What is said to a caller whose words can not be followed, one function for each reason."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from usina_runner import InvalidInput

_SHOWN, _LETTERS = 8, 24
_NEAR = 0.62


def characters(letters: Iterable[str]) -> InvalidInput:
    codes = ", ".join(f"U+{ord(letter):04X}" for letter in list(dict.fromkeys(letters))[:_SHOWN])
    return InvalidInput(
        "prompt_characters", f"The prompt holds characters that are not text: {codes}."
    )


def too_long(most: int) -> InvalidInput:
    return InvalidInput("prompt_too_long", f"The prompt has more than {most} characters.")


def unknown_object(
    words: Sequence[str], objects: Sequence[str], known: Sequence[str]
) -> InvalidInput:
    """``objects`` in the order to show; ``known`` are all words."""
    if words:
        said = f"No object is known by these words: {_listed(words, known)}."
    else:
        said = "The prompt names no object."
    return InvalidInput("unknown_object", f"{said} Known are: {', '.join(objects)}.")


def unknown_words(words: Sequence[str], known: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        "unknown_words",
        f"These words are not understood: {_listed(words, known)}. Leave them out or say it "
        "otherwise; nothing was made.",
    )


def unclear(message: str) -> InvalidInput:
    return InvalidInput("prompt_unclear", message)


def conflict(what: str, said: Iterable[str]) -> InvalidInput:
    return InvalidInput(
        "conflict", f"Two things are said about {what}: {' and '.join(said)}. Say one of them."
    )


def not_applicable(thing: str, said: str, takes: str) -> InvalidInput:
    return InvalidInput(
        "not_applicable", f"'{said}' does not go with {_article(thing)}. It takes {takes}."
    )


def out_of_range(what: str, said: str, allowed: str) -> InvalidInput:
    return InvalidInput("out_of_range", f"{said} is out of range for {what}: {allowed}.")


def scene_too_fine(objects: int, faces: int, most: int) -> InvalidInput:
    return InvalidInput(
        "scene_too_fine",
        f"Together these {objects} objects take {faces} triangles, more than {most}. Ask for "
        f"fewer at once, about {max(1, objects * most // faces)}.",
    )


def text_letters(letters: Iterable[str]) -> InvalidInput:
    shown = " ".join(dict.fromkeys(letters))
    return InvalidInput("text_letters", f"These letters can not be drawn on a sign: {shown}")


def _listed(words: Sequence[str], known: Sequence[str]) -> str:
    shown = [_with_near(word, known) for word in list(dict.fromkeys(words))[:_SHOWN]]
    rest = len(set(words)) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _with_near(word: str, known: Sequence[str]) -> str:
    cut = word if len(word) <= _LETTERS else f"{word[:_LETTERS]}..."
    near = get_close_matches(word.casefold(), known, n=3, cutoff=_NEAR)
    return f"'{cut}' (perhaps {', '.join(near)})" if near else f"'{cut}'"


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
