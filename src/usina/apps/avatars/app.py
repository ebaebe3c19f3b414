"""The avatar room: its models, and what it keeps of customers."""

from pathlib import Path

from usina.kernel.registry import App

app = App(
    name="avatars",
    runners=Path(__file__).parent / "runners",
    grpc="usina.apps.avatars.customer.rpc:SERVICE",
    http="usina.apps.avatars.customer.http:router",
    callback="usina.apps.avatars.customer.callback:own_words",
    beat="usina.apps.avatars.customer.upkeep:turns",
)
