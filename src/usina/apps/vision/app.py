"""The vision room: its models."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="vision", runners=Path(__file__).parent / "runners")
