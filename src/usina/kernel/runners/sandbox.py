"""The layers around every program: which there are, what each is told, which must be on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from usina.kernel.runners import reach
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.seccomp import Network, UnknownMachine, filter_for

Mode = Literal["auto", "full", "off"]
Layers = Mapping[str, str]
"""By layer: empty when it is on, else why it is not."""

LAYERS: Final = (
    "rlimits",
    "watch",
    "cgroup",
    "pid_namespace",
    "ipc_namespace",
    "network_namespace",
    "mount_namespace",
    "privileges",
    "landlock",
    "seccomp",
)
"""From the widest to the narrowest."""

_ALWAYS: Final = ("rlimits", "watch")
_WISHED: Final = ("cgroup",)
"""The watch stands in for it."""
_RUN: Final = "/run"
_RESOLVER: Final = "/etc/resolv.conf"
_GPU_DAEMON: Final = "/run/nvidia-persistenced"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """``auto`` puts on what the machine allows, ``full`` refuses to run a program with less than
    all (but for the cgroup, for which the watch stands in), ``off`` only sets limits and watches.

    ``hidden`` folders can not be reached, but for a program's own; ``cgroup`` is where groups may
    be made, or null and why not.
    """

    mode: Mode = "auto"
    hidden: tuple[Path, ...] = ()
    cgroup: tuple[str | None, str] = (None, "the platform did not look for one")

    def order(
        self, manifest: Manifest, argv: Sequence[str], passed: Mapping[str, str], root: Path
    ) -> dict[str, Any] | None:
        """What the launcher needs to know for a program below ``root``; null when it is off."""
        if self.mode == "off":
            return None
        hidden = _outermost((root, *self.hidden))
        network = manifest.reach(passed)
        return {
            "required": self.required(network),
            "network": network,
            "readable": reach.readable(manifest, argv, passed, hidden),
            "devices": reach.devices(manifest),
            "covered": [*hidden, *([_RUN] if Path(_RUN).is_dir() else [])],
            "kept": [os.path.realpath(_RESOLVER), *_daemons(manifest)],
            "filter": _filter(network),
            "cgroup": self.cgroup,
        }

    def told(self, layers: Layers | None) -> dict[str, str]:
        """Every layer, by what a launcher said."""
        always: dict[str, str] = dict.fromkeys(_ALWAYS, "")
        if layers is None:
            why = "USINA_SANDBOX is off"
            return {name: always.get(name, why) for name in LAYERS}
        return {name: always.get(name, layers.get(name, "")) for name in LAYERS}

    def required(self, network: Network) -> list[str]:
        """The layers without which a program is not run."""
        if self.mode != "full":
            return []
        spared = {*_ALWAYS, *_WISHED}
        if network == "outbound":
            spared.add("network_namespace")
        return [name for name in LAYERS if name not in spared]


def _filter(network: Network) -> str:
    """In hexadecimal; empty where there is none for this machine, which the kernel refuses."""
    try:
        return filter_for(network).hex()
    except UnknownMachine:
        return ""


def _daemons(manifest: Manifest) -> list[str]:
    return [_GPU_DAEMON] if manifest.resources.gpu else []


def _outermost(folders: Sequence[Path]) -> list[str]:
    """Without those that lie in another."""
    real = sorted({os.path.realpath(folder) for folder in folders})
    return [f for f in real if not any(f.startswith(f"{other}/") for other in real)]
