#!/usr/bin/env python3
"""Stands in for ``nvidia-smi``: its query form, its output, its failures.

The memory of a card is what real processes hold: one holds so many MiB as the name of a file says
that it has open (``vram-700``), on the card that its ``CUDA_VISIBLE_DEVICES`` names, and gives them
back by ending, as with the driver. The cards, and what ails them, stand in the JSON file beside.
Texts and exit codes are those of the real tool (``nvidia-smi --help``, *RETURN VALUE*).
"""

import json
import re
import sys
from pathlib import Path

NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running.\n"
)
GPU = {
    "index": "index",
    "uuid": "uuid",
    "gpu_uuid": "uuid",
    "name": "name",
    "memory.total": "total",
    "memory.used": "used",
}
APPS = ("gpu_uuid", "pid", "used_memory")
STATE = Path(__file__).with_name("cards.json")


def main():
    asked = dict(word.partition("=")[::2] for word in sys.argv[1:])
    state = json.loads(STATE.read_text())
    if state.get("no_driver"):
        stop(NO_DRIVER, 9)
    form = set(asked.pop("--format", "").split(","))
    if not {"csv", "noheader"} <= form <= {"csv", "noheader", "nounits"}:
        stop("This stand-in writes no header.\n", 2)
    unit = "" if "nounits" in form else " MiB"
    [(what, fields)] = asked.items()
    held = usages(state["cards"])
    if what == "--query-gpu":
        show(fields, unit, GPU, [seen(card, state, held) for card in state["cards"]])
    elif what == "--query-compute-apps":
        show(fields, unit, {name: name for name in APPS}, held)
        with STATE.with_name("told").open("a") as told:
            told.writelines(f"{use['used_memory']}\n" for use in held)
    else:
        stop(f"Invalid combination of input arguments. Please run 'nvidia-smi -h'. {what}\n", 2)


def show(fields, unit, known, rows):
    names = fields.split(",")
    for name in names:
        if name not in known:
            stop(f'Field "{name}" is not a valid field to query.\n\n', 2)
    for row in rows:
        values = [f"{row[known[name]]}{unit * ('memory' in name)}" for name in names]
        sys.stdout.write(", ".join(values) + "\n")


def seen(card, state, held):
    if card["uuid"] in state.get("lost", ()):
        return (
            dict.fromkeys(card, "[GPU is lost]")
            | {k: card[k] for k in ("index", "uuid")}
            | {"used": "[GPU is lost]"}
        )
    own = sum(use["used_memory"] for use in held if use["gpu_uuid"] == card["uuid"])
    left = state.get("left", {}).get(card["uuid"], 0)
    return {**card, "used": card.get("idle", 1) + own + left}


def usages(cards):
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            names = [link.readlink().name for link in (entry / "fd").iterdir()]
            sizes = [int(m[1]) for name in names if (m := re.fullmatch(r"vram-(\d+)", name))]
            environment = (entry / "environ").read_bytes() if sizes else b""
        except OSError:
            continue
        given = re.search(rb"(?:^|\0)CUDA_VISIBLE_DEVICES=([^\0]*)", environment)
        for card in cards:
            if sizes and given and given[1].decode() in (card["uuid"], str(card["index"])):
                use = {"gpu_uuid": card["uuid"], "pid": entry.name, "used_memory": sum(sizes)}
                found.append(use)
    return found


def stop(text, code):
    sys.stdout.write(text)
    sys.exit(code)


if __name__ == "__main__":
    main()
