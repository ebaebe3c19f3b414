"""The CFD room: its models, and what it keeps of beds and simulations."""

from pathlib import Path

from usina.kernel.registry import App

app = App(
    name="cfd",
    runners=Path(__file__).parent / "runners",
    http="usina.apps.cfd.doors:router",
    beat="usina.apps.cfd.doors:turns",
    files="usina.apps.cfd.bed.store:kept_files",
)
