"""The 3D room: its models."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="threed", runners=Path(__file__).parent / "runners")
