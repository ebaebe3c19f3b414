#!/usr/bin/env python3
"""Stands in for ``nvidia-smi``: its query form, its long report, its output, its failures.

The memory of a card is what real processes hold: one holds so many MiB as the name of a file says
that it has open (``vram-700``), on the card that its ``CUDA_VISIBLE_DEVICES`` names, and gives them
back by ending, as with the driver. The cards, and what ails them, stand in the JSON file beside.
Texts and exit codes are those of the real tool (``nvidia-smi --help``, *RETURN VALUE*). The report
is as driver 580 gives it for a GPU of a data centre, of its sections those that tell of health.
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
UNREACHED = "Unable to determine the device handle for GPU{index}: {place}.0: Unknown Error\n"
REPORT = """\
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">
<nvidia_smi_log>
\t<driver_version>580.105.08</driver_version>
\t<attached_gpus>{count}</attached_gpus>
{gpus}</nvidia_smi_log>
"""
REPORTED = """\
\t<gpu id="0000{place}.0">
\t\t<product_name>{name}</product_name>
\t\t<uuid>{uuid}</uuid>
\t\t<gpu_reset_status>
\t\t\t<reset_required>{reset_required}</reset_required>
\t\t\t<drain_and_reset_recommended>{reset_required}</drain_and_reset_recommended>
\t\t</gpu_reset_status>
\t\t<gpu_recovery_action>{recovery}</gpu_recovery_action>
\t\t<fb_memory_usage>
\t\t\t<total>{total} MiB</total>
\t\t\t<used>{used} MiB</used>
\t\t</fb_memory_usage>
\t\t<utilization>
\t\t\t<gpu_util>{load}</gpu_util>
\t\t</utilization>
\t\t<ecc_errors>
\t\t\t<volatile>
\t\t\t\t<sram_correctable>7</sram_correctable>
\t\t\t\t<sram_uncorrectable_parity>0</sram_uncorrectable_parity>
\t\t\t\t<sram_uncorrectable_secded>0</sram_uncorrectable_secded>
\t\t\t\t<dram_correctable>0</dram_correctable>
\t\t\t\t<dram_uncorrectable>{dram_uncorrectable}</dram_uncorrectable>
\t\t\t</volatile>
\t\t\t<aggregate>
\t\t\t\t<dram_uncorrectable>9</dram_uncorrectable>
\t\t\t</aggregate>
\t\t</ecc_errors>
\t\t<retired_pages>
\t\t\t<pending_retirement>N/A</pending_retirement>
\t\t</retired_pages>
\t\t<remapped_rows>
\t\t\t<remapped_row_corr>0</remapped_row_corr>
\t\t\t<remapped_row_unc>9</remapped_row_unc>
\t\t\t<remapped_row_pending>No</remapped_row_pending>
\t\t\t<remapped_row_failure>{remapped_row_failure}</remapped_row_failure>
\t\t</remapped_rows>
\t\t<temperature>
\t\t\t<gpu_temp>41 C</gpu_temp>
\t\t</temperature>
\t</gpu>
"""
WELL = {
    "reset_required": "Requested functionality has been deprecated",
    "recovery": "None",
    "load": "0 %",
    "dram_uncorrectable": "0",
    "remapped_row_failure": "No",
}
APPS = ("gpu_uuid", "pid", "used_memory")
STATE = Path(__file__).with_name("cards.json")


def main():
    asked = dict(word.partition("=")[::2] for word in sys.argv[1:])
    state = json.loads(STATE.read_text())
    if state.get("no_driver"):
        stop(NO_DRIVER, 9)
    gone = [card for card in state["cards"] if card["uuid"] in state.get("gone", ())]
    for card in gone:
        sys.stderr.write(UNREACHED.format(**card))
    state["cards"] = [card for card in state["cards"] if card not in gone]
    if asked.keys() == {"-q", "-x"}:
        report(state)
    else:
        query(asked, state)
    sys.exit(15 if gone else 0)


def report(state):
    held, told = usages(state["cards"]), state.get("health", {})
    gpus = [
        REPORTED.format_map({**seen(card, state, held), **WELL, **told.get(card["uuid"], {})})
        for card in state["cards"]
    ]
    sys.stdout.write(REPORT.format(count=len(gpus), gpus="".join(gpus)))


def query(asked, state):
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
            | {k: card[k] for k in ("index", "uuid", "place")}
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
