"""The avatar room: its models."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="avatars", runners=Path(__file__).parent / "runners")
