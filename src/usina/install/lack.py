"""What a model lacks on this machine, each with the command that would fix it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from usina.install.install import fault_of
from usina.install.place import Place
from usina.kernel.registry import Model
from usina.kernel.worker.machine import Machine

_ON_CPU: Final = (
    " It can run without one, slowly: let gpu below [resources] of its runner.toml be 0, or the "
    "variable that is named there."
)
_PATIENCE_SECONDS: Final = 5.0
_GATEWAY: Final = frozenset({502, 503, 504})
"""What a proxy says in the place of a server that is down."""


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
    """Its terms, program, server, weights, GPU and memory, as far as its manifest tells of them.
    ``gpu_bytes`` is the memory of each GPU of the machine. Calls the server that the operator has
    named for it, if any."""
    return [
        *_program(model),
        *_server(model, homes),
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


def _server(model: Model, homes: Mapping[str, str]) -> Iterator[Lack]:
    """Of a model that could run: whether anything answers, whatever it says."""
    variable = model.manifest.environment.server or ""
    address = homes.get(variable)
    if not address or not model.available:
        return
    try:
        status = httpx2.get(address, timeout=_PATIENCE_SECONDS, trust_env=False).status_code
        why = f"answers {status}" if status in _GATEWAY else None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        why = f"can not be reached ({type(error).__name__})"
    if why is not None:
        yield Lack(
            f"the server that {variable} names {why}; jobs that need it fail or do without",
            f"Start it, or set {variable} right.",
            stops=False,
        )


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
        elif each.sha256 is None:
            what = f"{own or place.weight(each)} can not be verified: no SHA-256 of it is known"
            yield Lack(what, f"Compare it with what {each.source} has.", stops=False)


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
