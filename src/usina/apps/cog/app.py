"""The declaration of the room: it has no model of its own, only those that are added to it."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="cog", runners=Path(__file__).parent / "runners")
