"""Every word that is understood, in English and in Brazilian Portuguese.

Words are known without accents and in small letters; plurals, and the feminine of Portuguese
adjectives, are made here. A word that may mean an object or something else is that object only
where nothing else is one (`AMBIGUOUS`).
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from usina.apps.threed.parametric.catalogue import THINGS

Phrase = tuple[str, ...]
Meaning = tuple[str, Any]
"""A kind of word of the grammar, and its value."""

FILLERS = [
    "a",
    "an",
    "the",
    "some",
    "of",
    "in",
    "with",
    "for",
    "made",
    "out",
    "from",
    "at",
    "to",
    "me",
    "my",
    "please",
    "make",
    "create",
    "draw",
    "build",
    "model",
    "generate",
    "want",
    "i",
    "would",
    "like",
    "it",
    "is",
    "its",
    "has",
    "having",
    "that",
    "which",
    "and",
    "whose",
    "sized",
    "size",
    "about",
    "each",
    "total",
    "overall",
    "approximately",
    "um",
    "uma",
    "uns",
    "umas",
    "o",
    "os",
    "as",
    "de",
    "do",
    "da",
    "dos",
    "das",
    "em",
    "na",
    "nos",
    "nas",
    "com",
    "para",
    "feito",
    "feita",
    "feitos",
    "feitas",
    "por",
    "favor",
    "faca",
    "crie",
    "gere",
    "desenhe",
    "quero",
    "eu",
    "me",
    "meu",
    "minha",
    "tamanho",
    "que",
    "tem",
    "tendo",
    "cada",
    "peca",
    "pecas",
    "modelo",
    "medindo",
    "ao",
    "aos",
    "à",
    "cor",
    "colour",
    "color",
    "colored",
    "coloured",
]
"""Words that say nothing about the object."""

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "dois": 2, "duas": 2,
    "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8, "nove": 9, "dez": 10,
    "onze": 11, "doze": 12, "duzia": 12,
}  # fmt: skip

UNITS = {
    "mm": ("mm", 1e-3),
    "millimetre": ("mm", 1e-3),
    "millimeter": ("mm", 1e-3),
    "milimetro": ("mm", 1e-3),
    "cm": ("cm", 1e-2),
    "centimetre": ("cm", 1e-2),
    "centimeter": ("cm", 1e-2),
    "centimetro": ("cm", 1e-2),
    "m": ("m", 1.0),
    "metre": ("m", 1.0),
    "meter": ("m", 1.0),
    "metro": ("m", 1.0),
    "in": ("in", 0.0254),
    "inch": ("in", 0.0254),
    "inches": ("in", 0.0254),
    "pol": ("in", 0.0254),
    "polegada": ("in", 0.0254),
}
"""A word for a unit, the short form to answer in, and its metres."""

SCALES = {
    "tiny": 0.4, "mini": 0.4, "miniature": 0.4, "minusculo": 0.4, "small": 0.65, "little": 0.65,
    "pequeno": 0.65, "medium": 1.0, "medio": 1.0, "large": 1.5, "big": 1.5, "grande": 1.5,
    "huge": 2.2, "giant": 2.2, "enorme": 2.2, "gigante": 2.2,
}  # fmt: skip

LENGTHS = {
    "height": ("height", "length", "edge"),
    "width": ("width", "diameter", "edge"),
    "depth": ("depth", "height", "edge"),
    "length": ("length", "width"),
    "diameter": ("diameter",),
    "radius": ("diameter",),
    "thickness": ("thickness", "wall", "wire"),
    "wall": ("wall",),
    "bore": ("bore",),
    "edge": ("edge", "width"),
    "seat_height": ("seat_height",),
    "wire": ("wire",),
    "module": ("module",),
}
"""What a dimension is called, and the parameters it may be, the first that an object has."""

DIMENSIONS = {
    "height": "height", "altura": "height", "width": "width", "largura": "width",
    "depth": "depth", "profundidade": "depth", "length": "length", "comprimento": "length",
    "diameter": "diameter", "diametro": "diameter", "dia": "diameter", "radius": "radius",
    "raio": "radius", "thickness": "thickness", "espessura": "thickness", "grossura": "thickness",
    "wall": "wall", "wall thickness": "wall", "parede": "wall", "espessura da parede": "wall",
    "bore": "bore", "hole": "bore", "furo": "bore", "edge": "edge", "side length": "edge",
    "aresta": "edge", "seat height": "seat_height", "altura do assento": "seat_height",
    "wire": "wire", "fio": "wire", "arame": "wire", "module": "module", "modulo": "module",
}  # fmt: skip

ADJECTIVES = {
    "tall": ("height", 1.4), "high": ("height", 1.4), "alto": ("height", 1.4),
    "wide": ("width", 1.4), "largo": ("width", 1.4), "deep": ("depth", 1.4),
    "fundo": ("depth", 1.4), "profundo": ("depth", 1.4), "long": ("length", 1.4),
    "longo": ("length", 1.4), "comprido": ("length", 1.4), "thick": ("thickness", 1.6),
    "grosso": ("thickness", 1.6), "espesso": ("thickness", 1.6),
}  # fmt: skip
"""Words that stretch one dimension, or name it after a length: 5 cm tall."""

STRETCHES = {
    "low": ("height", 0.7), "short": ("height", 0.7), "baixo": ("height", 0.7),
    "curto": ("length", 0.7), "narrow": ("width", 0.7), "estreito": ("width", 0.7),
    "shallow": ("depth", 0.7), "raso": ("depth", 0.7), "thin": ("thickness", 0.65),
    "fino": ("thickness", 0.65),
}  # fmt: skip

PARTS = {
    "leg": "legs", "legged": "legs", "perna": "legs", "pe": "legs", "tooth": "teeth",
    "teeth": "teeth", "dente": "teeth", "side": "sides", "sided": "sides", "lado": "sides",
    "point": "points", "pointed": "points", "ponta": "points", "coil": "coils",
    "espira": "coils", "volta": "coils", "step": "steps", "degrau": "steps", "tier": "tiers",
    "camada": "tiers", "fin": "fins", "aleta": "fins", "shelf": "shelves",
    "compartment": "shelves", "prateleira": "shelves", "compartimento": "shelves",
}  # fmt: skip

OPTIONS = {
    "handle": "handle", "alca": "handle", "asa": "handle", "lid": "lid", "cover": "lid",
    "tampa": "lid", "saucer": "saucer", "pires": "saucer", "gem": "gem", "stone gem": "gem",
    "gemstone": "gem", "diamond": "gem", "diamante": "gem", "joia": "gem",
}  # fmt: skip

MATERIALS = {
    "aluminium": "aluminium", "aluminum": "aluminium", "aluminio": "aluminium", "brass": "brass",
    "latao": "brass", "bronze": "bronze", "ceramic": "ceramic", "porcelain": "ceramic",
    "ceramica": "ceramic", "porcelana": "ceramic", "clay": "clay", "terracotta": "clay",
    "barro": "clay", "argila": "clay", "terracota": "clay", "concrete": "concrete",
    "concreto": "concrete", "copper": "copper", "cobre": "copper", "fabric": "fabric",
    "cloth": "fabric", "tecido": "fabric", "glass": "glass", "vidro": "glass", "gold": "gold",
    "golden": "gold", "ouro": "gold", "dourado": "gold", "iron": "iron", "ferro": "iron",
    "leather": "leather", "couro": "leather", "marble": "marble", "marmore": "marble",
    "paper": "paper", "papel": "paper", "plastic": "plastic", "plastico": "plastic",
    "rubber": "rubber", "borracha": "rubber", "silver": "silver", "prata": "silver",
    "prateado": "silver", "steel": "steel", "metal": "steel", "metallic": "steel", "aco": "steel",
    "metalico": "steel", "stone": "stone", "pedra": "stone", "wax": "wax", "cera": "wax",
    "wood": "wood", "wooden": "wood", "madeira": "wood",
}  # fmt: skip

COLOURS = {
    "beige": "beige", "bege": "beige", "black": "black", "preto": "black", "negro": "black",
    "blue": "blue", "azul": "blue", "brown": "brown", "marrom": "brown", "coral": "coral",
    "cream": "cream", "creme": "cream", "cyan": "cyan", "ciano": "cyan", "dark blue": "dark blue",
    "azul escuro": "dark blue", "dark green": "dark green", "verde escuro": "dark green",
    "dark grey": "dark grey", "dark gray": "dark grey", "cinza escuro": "dark grey",
    "dark red": "dark red", "vermelho escuro": "dark red", "green": "green", "verde": "green",
    "grey": "grey", "gray": "grey", "cinza": "grey", "lavender": "lavender",
    "lavanda": "lavender", "light blue": "light blue", "azul claro": "light blue",
    "light green": "light green", "verde claro": "light green", "light grey": "light grey",
    "light gray": "light grey", "cinza claro": "light grey", "lilac": "lilac", "lilas": "lilac",
    "magenta": "magenta", "mint": "mint", "menta": "mint", "mustard": "mustard",
    "mostarda": "mustard", "navy": "navy", "navy blue": "navy", "azul marinho": "navy",
    "olive": "olive", "oliva": "olive", "orange": "orange", "laranja": "orange", "pink": "pink",
    "rosa": "pink", "purple": "purple", "roxo": "purple", "red": "red", "vermelho": "red",
    "salmon": "salmon", "salmao": "salmon", "teal": "teal", "turquoise": "turquoise",
    "turquesa": "turquoise", "violet": "violet", "violeta": "violet", "white": "white",
    "branco": "white", "wine red": "wine", "burgundy": "wine", "vinho": "wine",
    "yellow": "yellow", "amarelo": "yellow",
}  # fmt: skip

AMBIGUOUS = {"glass": "glass", "shelf": "shelf", "prateleira": "shelf"}
"""Words of other kinds that name an object where the prompt names no other."""

_LINKS = {"with", "of", "a", "com", "de", "da", "do", "para"}
_IRREGULAR = {"tooth": "teeth", "foot": "feet", "snowman": "snowmen", "die": "dice"}


def fold(word: str) -> str:
    """In small letters and without accents."""
    parts = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


@cache
def lexicon() -> dict[Phrase, Meaning]:
    """Every phrase, word by word as `fold` leaves it, and what it means."""
    known: dict[Phrase, Meaning] = {(fold(word),): ("FILLER", word) for word in FILLERS}
    known[("por", "favor")] = ("FILLER", "por favor")
    for kind, words in _KINDS.items():
        for text, value in words.items():
            known |= dict.fromkeys(_forms(text), (kind, value))
    for thing in THINGS:
        for text in (*thing.english, *thing.portuguese):
            for phrase in _forms(text):
                known.setdefault(phrase, ("OBJECT", thing.name))
    return known


_KINDS: dict[str, dict[str, Any]] = {
    "NUMBER": NUMBERS,
    "UNIT": UNITS,
    "SCALE": SCALES,
    "ADJECTIVE": ADJECTIVES,
    "STRETCH": STRETCHES,
    "DIMENSION": DIMENSIONS,
    "PART": PARTS,
    "OPTION": OPTIONS,
    "MATERIAL": MATERIALS,
    "COLOUR": COLOURS,
    "WITHOUT": dict.fromkeys(("without", "no", "sem"), True),
    "TIMES": dict.fromkeys(("x", "by", "por", "times", "vezes"), True),
    "_BREAK": dict.fromkeys(("and", "e", "plus"), True),
}


def vocabulary() -> list[str]:
    """Every word as it is listed here, to suggest one near to a word that is not known."""
    names = [name for thing in THINGS for name in (*thing.english, *thing.portuguese)]
    return sorted({*names, *(word for words in _KINDS.values() for word in words if len(word) > 2)})


def _forms(text: str) -> Iterator[Phrase]:
    """A phrase, its plurals and its feminines."""
    words = tuple(fold(text).split())
    yield words
    for many in (_plural, _plural_portuguese):
        yield tuple(word if word in _LINKS else many(word) for word in words)
        yield (many(words[0]), *words[1:])
        yield (*words[:-1], many(words[-1]))
    if words[-1].endswith("o"):
        feminine = tuple(word[:-1] + "a" if word.endswith("o") else word for word in words)
        yield feminine
        yield tuple(f"{word}s" for word in feminine)


def _plural(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    if word.endswith("lf"):
        return f"{word[:-1]}ves"
    return f"{word}s"


def _plural_portuguese(word: str) -> str:
    for ending, many in (("ao", "oes"), ("el", "eis"), ("al", "ais"), ("ul", "uis"), ("m", "ns")):
        if word.endswith(ending):
            return word[: -len(ending)] + many
    return f"{word}es" if word.endswith(("r", "z", "s")) else f"{word}s"
