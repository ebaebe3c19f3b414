"""The declaration of the diagnostic room."""

from pathlib import Path

from usina.kernel.registry import App

app = App(name="diagnostics", runners=Path(__file__).parent / "runners")
