"""The CFD room: its models."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="cfd", runners=Path(__file__).parent / "runners")
