"""Every service of the gRPC face: our own, and those that the rooms declare."""

from collections.abc import Iterable

from usina.faces.grpc.jobs import JOBS
from usina.grpc_kit.service import Service
from usina.kernel.registry import App, loaded


def services_of(apps: Iterable[App]) -> list[Service]:
    """Loads what ``App.grpc`` names."""
    return [JOBS, *(_named(app.grpc) for app in apps if app.grpc is not None)]


def _named(place: str) -> Service:
    found = loaded(place)
    assert isinstance(found, Service), f"{place} is no service of gRPC"
    return found
