"""What a part looks like: its colour, and how the light leaves it."""

from dataclasses import dataclass, replace

Rgb = tuple[int, int, int]
"""sRGB, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Finish:
    """``metallic`` and ``roughness`` are those of glTF's metallic-roughness model, 0 to 1; without
    a ``colour`` the material has its own."""

    material: str
    rgb: Rgb
    metallic: float
    roughness: float
    opacity: float = 1.0
    colour: str | None = None

    @property
    def name(self) -> str:
        return f"{self.colour} {self.material}" if self.colour else self.material

    def dyed(self, colour: str, rgb: Rgb) -> "Finish":
        """The same material in another colour."""
        return replace(self, colour=colour, rgb=rgb)

    def linear(self) -> tuple[float, ...]:
        """The colour in linear light, 0 to 1 (IEC 61966-2-1)."""
        shares = [level / 255 for level in self.rgb]
        return tuple(x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)


MATERIALS = {
    made.material: made
    for made in (
        Finish("aluminium", (196, 199, 203), 1.0, 0.38),
        Finish("brass", (214, 178, 94), 1.0, 0.28),
        Finish("bronze", (160, 112, 62), 1.0, 0.38),
        Finish("ceramic", (240, 236, 228), 0.0, 0.22),
        Finish("clay", (190, 104, 72), 0.0, 0.85),
        Finish("concrete", (158, 157, 152), 0.0, 0.95),
        Finish("copper", (200, 118, 82), 1.0, 0.30),
        Finish("fabric", (226, 214, 192), 0.0, 0.95),
        Finish("glass", (186, 218, 214), 0.0, 0.05, 0.45),
        Finish("gold", (232, 188, 82), 1.0, 0.22),
        Finish("iron", (96, 98, 102), 1.0, 0.55),
        Finish("leather", (122, 76, 48), 0.0, 0.65),
        Finish("marble", (232, 230, 226), 0.0, 0.28),
        Finish("paper", (244, 242, 234), 0.0, 0.95),
        Finish("plastic", (226, 228, 232), 0.0, 0.42),
        Finish("rubber", (52, 53, 56), 0.0, 0.90),
        Finish("silver", (208, 209, 212), 1.0, 0.20),
        Finish("steel", (168, 172, 178), 1.0, 0.32),
        Finish("stone", (142, 138, 130), 0.0, 0.90),
        Finish("wax", (246, 236, 208), 0.0, 0.55),
        Finish("wood", (184, 134, 84), 0.0, 0.70),
    )
}

COLOURS: dict[str, Rgb] = {
    "beige": (226, 208, 176),
    "black": (38, 38, 42),
    "blue": (42, 100, 196),
    "brown": (118, 76, 46),
    "coral": (244, 122, 98),
    "cream": (248, 238, 214),
    "cyan": (40, 184, 204),
    "dark blue": (24, 48, 110),
    "dark green": (22, 82, 48),
    "dark grey": (84, 86, 92),
    "dark red": (126, 22, 30),
    "green": (56, 148, 76),
    "grey": (148, 150, 154),
    "lavender": (184, 164, 222),
    "light blue": (142, 192, 234),
    "light green": (154, 212, 138),
    "light grey": (204, 206, 210),
    "lilac": (196, 156, 206),
    "magenta": (206, 44, 140),
    "mint": (160, 222, 192),
    "mustard": (214, 162, 42),
    "navy": (26, 40, 84),
    "olive": (116, 120, 48),
    "orange": (240, 128, 34),
    "pink": (242, 150, 180),
    "purple": (122, 62, 160),
    "red": (204, 42, 44),
    "salmon": (246, 148, 124),
    "teal": (22, 128, 128),
    "turquoise": (62, 198, 188),
    "violet": (136, 84, 204),
    "white": (246, 246, 244),
    "wine": (108, 24, 48),
    "yellow": (246, 206, 48),
}
