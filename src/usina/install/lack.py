"""What a model lacks on this machine, each with the command that would fix it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.install.install import fault_of
from usina.install.place import Place
from usina.kernel.registry import Model
from usina.kernel.worker.machine import Machine

_ON_CPU: Final = (
    " It can run without one, slowly: let gpu below [resources] of its runner.toml be 0, or the "
    "variable that is named there."
)


@dataclass(frozen=True, slots=True)
class Lack:
    """``stops`` is whether nothing can run for it."""

    what: str
    fix: str
    stops: bool = True


def lacks(
    model: Model,
    data: Path,
    homes: Mapping[str, str],
    machine: Machine,
    gpu_bytes: Sequence[int] = (),
) -> list[Lack]:
    """Its terms, program, weights, GPU and memory, as far as its manifest tells of them.
    ``gpu_bytes`` is the memory of each GPU of the machine."""
    return [
        *_program(model),
        *_weights(model, data, homes),
        *_gpu(model, gpu_bytes),
        *_memory(model, machine),
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


def _gpu(model: Model, sizes: Sequence[int]) -> Iterator[Lack]:
    needs = model.resources
    fit = [size for size in sizes if size >= needs.gpu_memory_bytes]
    if needs.gpu <= len(fit):
        return
    most = f"the largest has {_gib(max(sizes))}" if sizes else "there is none"
    if len(sizes) >= needs.gpu or not sizes:
        here = most
    else:
        here = f"there {'is' if len(sizes) == 1 else 'are'} {len(sizes)}, {most}"
    elsewhere = "Run a worker where there is one: usina worker --queues gpu; or set USINA_GPUS."
    if sizes:
        elsewhere = (
            "Run a worker where there is such a one: usina worker --queues gpu; or, if it needs "
            f"less, lower gpu_memory_bytes in {model.manifest.folder}/runner.toml."
        )
    yield Lack(
        f"it takes {_gpus(needs.gpu, needs.gpu_memory_bytes)}, and here {here}: none of its jobs "
        "can run on this machine",
        elsewhere + (_ON_CPU if needs.cpu else ""),
        stops=False,
    )


def _gpus(number: int, each: int) -> str:
    memory = f" with {_gib(each)}" if each else ""
    return f"a GPU{memory}" if number == 1 else f"{number} GPUs{memory}"


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"


def _memory(model: Model, machine: Machine) -> Iterator[Lack]:
    needs = model.resources
    if needs.memory_bytes > machine.memory_bytes:
        yield Lack(
            f"it takes {_gib(needs.memory_bytes)} of memory and here is "
            f"{_gib(machine.memory_bytes)}: none of its jobs can run on this machine",
            "Run a worker on a larger machine, or set USINA_MEMORY_BYTES.",
            stops=False,
        )
