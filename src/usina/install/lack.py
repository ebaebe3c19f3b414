"""What a model lacks on this machine, each with the command that would fix it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from usina.install.install import fault_of
from usina.install.place import Place
from usina.kernel.registry import Model
from usina.kernel.worker.machine import Machine


@dataclass(frozen=True, slots=True)
class Lack:
    """``stops`` is whether nothing can run for it."""

    what: str
    fix: str
    stops: bool = True


def lacks(model: Model, data: Path, homes: Mapping[str, str], machine: Machine) -> list[Lack]:
    """Its terms, program, weights, GPU and memory, as far as its manifest tells of them."""
    return [
        *_program(model),
        *_weights(model, data, homes),
        *_machine(model, machine),
    ]


def _program(model: Model) -> Iterator[Lack]:
    if model.available:
        return
    reason = model.unavailable_reason or ""
    if model.refused or model.manifest.install is None:
        yield Lack(reason, reason)
    else:
        yield Lack(reason, f"usina models install {model.name}, or name your own as it says.")


def _weights(model: Model, data: Path, homes: Mapping[str, str]) -> Iterator[Lack]:
    """Of a model that could run, or was installed: what its recipe would bring is told above."""
    place = Place.of(data, model.name)
    installed = place.installed() is not None
    for each in model.manifest.weights:
        own = homes.get(each.setting, "") if each.setting else ""
        if not own and not installed:
            continue
        fault = fault_of(each, Path(own) if own else place.weight(each))
        if fault is not None and own and own != str(place.weight(each)):
            yield Lack(fault, f"{each.setting} names it; set it right.", stops=False)
        elif fault is not None:
            again = f"rm -f {place.weight(each)} && usina models install {model.name}"
            yield Lack(fault, again)


def _machine(model: Model, machine: Machine) -> Iterator[Lack]:
    needs = model.resources
    if needs.gpu > len(machine.gpus):
        spare = " It can run without one, slowly." if needs.cpu else ""
        yield Lack(
            f"it takes {needs.gpu} GPU and here are {len(machine.gpus)}.{spare}",
            "Run a worker on a machine with one: usina worker --queues gpu; or set USINA_GPUS.",
            stops=False,
        )
    if needs.memory_bytes > machine.memory_bytes:
        yield Lack(
            f"it takes {needs.memory_bytes} bytes of memory and here are {machine.memory_bytes}",
            "Run a worker on a larger machine, or set USINA_MEMORY_BYTES.",
            stops=False,
        )
