"""What a driver's report and the kernel's log say of a GPU, in the texts that they really have."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.worker.gpu.nvidia_smi import REPORT, REPORTED, WELL
from usina.kernel.worker.gpu import kernel_log
from usina.kernel.worker.gpu.health import Health, read_health
from usina.kernel.worker.gpu.kernel_log import KernelLog, Xid

CARD = {"place": "0000:3B:00", "name": "NVIDIA H200", "uuid": "GPU-1", "total": 143771, "used": 4}
VOLTA = """\
<?xml version="1.0" ?>
<nvidia_smi_log>
<gpu id="00000000:09:00.0"><uuid>GPU-v</uuid>
<gpu_reset_status><reset_required>{reset}</reset_required></gpu_reset_status>
<ecc_errors><volatile>
<single_bit><total>12</total></single_bit>
<double_bit><device_memory>{count}</device_memory><total>{count}</total></double_bit>
</volatile></ecc_errors>
<remapped_rows>N/A</remapped_rows>
</gpu></nvidia_smi_log>
"""
"""As drivers before 455 report one before Ampere."""


def health(**told: str) -> Health:
    text = REPORTED.format_map({**CARD, **WELL, **told})
    found = read_health("Unable to determine ...\n" + REPORT.format(count=1, gpus=text))
    assert found is not None
    [only] = found
    assert (only.id, only.place) == ("GPU-1", "0:3b:0")
    return only


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, None),
        ({"recovery": "N/A"}, None),
        ({"recovery": "Reset"}, "the driver asks for this to recover it: Reset"),
        ({"recovery": "Drain P2P"}, "the driver asks for this to recover it: Drain P2P"),
        ({"recovery": "N/A", "reset_required": "Yes"}, "has to be reset"),
        ({"remapped_row_failure": "Yes"}, "could not be remapped: it has to be replaced"),
        ({"recovery": "N/A", "dram_uncorrectable": "32"}, "had 32 uncorrectable errors"),
        ({"recovery": "None", "dram_uncorrectable": "32"}, None),
        ({"load": "Unknown Error"}, "the driver says 'Unknown Error' of its load"),
        ({"load": "[GPU is lost]"}, "the driver says 'GPU is lost' of its load"),
        ({"load": "ERR!"}, "the driver says 'ERR!' of its load"),
    ],
)
def test_the_report_says_whether_a_gpu_may_be_used(told: dict[str, str], says: str | None) -> None:
    fault = health(**told).fault
    assert fault is None if says is None else says in str(fault)


@pytest.mark.parametrize(
    ("reset", "count", "says"),
    [("No", "0", None), ("No", "2", "had 2 uncorrectable"), ("Yes", "0", "has to be reset")],
)
def test_an_older_report_is_read_as_well(reset: str, count: str, says: str | None) -> None:
    [found] = read_health(VOLTA.format(reset=reset, count=count)) or []
    assert not found.sound, "it says nothing of recovery"
    assert found.fault is None if says is None else says in str(found.fault)


def test_what_is_no_report_is_known_as_none() -> None:
    assert read_health("NVIDIA-SMI has failed") is None
    assert read_health('<?xml version="1.0" ?>\n<nvidia_smi_log>\n\t<gpu id="0000') is None


XIDS: dict[str, str | None] = {
    "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.": "Xid 79",
    "NVRM: Xid (PCI:0000:3b:00): 48, pid='<unknown>', name=<unknown>, An uncorrectable double bit "
    "error (DBE) has been detected on GPU in the framebuffer at partition 7.": "Xid 48",
    "NVRM: Xid (PCI:0000:3b:00): 119, pid=1934, name=python3, Timeout after 6s of waiting for RPC "
    "response from GPU0 GSP!": "Xid 119",
    "NVRM: Xid (PCI:0000:3B:00 GPU-I:03): 95, pid=77, Uncontained error.": "Xid 95",
    "NVRM: Xid (0000:3b:00): 62, 0d42(30c4) 00000000 00000000": "Xid 62",
    "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU "
    "Reset Required)": "Xid 154",
}
OF_PROGRAMS = (
    "NVRM: Xid (PCI:0000:00:06): 31, pid=79749, name=exe, Ch 0000000a, intr 00000000. MMU Fault",
    "NVRM: Xid (PCI:0000:3b:00): 13, pid=12, Graphics SM Warp Exception on (GPC 0, TPC 1)",
    "NVRM: Xid (PCI:0000:3b:00): 63, pid='<unknown>', name=<unknown>, Row Remapper: New row",
    "NVRM: Xid (PCI:0000:3b:00): 94, pid=5, Contained: SM (0x1). RST: No, D-RST: No",
    "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.105.08",
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of ``/dev/kmsg``, with one fault from before."""
    place = tmp_path / "kmsg"
    place.write_text("3,1,100,-;NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n")
    monkeypatch.setattr(kernel_log, "PLACE", place)
    return place


def wrote(log: Path, *texts: str, priority: int = 3) -> None:
    with log.open("a") as file:
        file.writelines(f"{priority},2,3,-;{text}\n SUBSYSTEM=pci\n" for text in texts)


def test_faults_of_the_kernels_log_are_told_once_and_those_of_programs_never(log: Path) -> None:
    kernel = KernelLog()
    wrote(log, *XIDS, *OF_PROGRAMS)
    wrote(log, "NVRM: Xid (PCI:0000:3b:00): 79, a program may write this", priority=11)
    found = kernel.news()
    assert {xid.place for xid in found} == {"0:3b:0"}
    assert [str(xid.fault).split(" in ")[0] for xid in found] == [*XIDS.values()]
    assert kernel.news() == []
    wrote(
        log,
        "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x1 (GPU Reset "
        "Required) to 0x0 (None)",
    )
    assert kernel.news() == [Xid("0:3b:0", None)]
    kernel.close()
    before = KernelLog(since_boot=True)
    assert before.news()[0].place == "0:1:0"
    before.close()


def test_the_real_log_is_read_where_it_may_be_and_missed_where_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = KernelLog(since_boot=True)
    assert real.news() == [], "no GPU has a fault here"
    real.close()
    closed = tmp_path / "closed"
    closed.mkdir()

    def refused(*_: Any) -> int:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(os, "open", refused)
    kernel = KernelLog()
    assert (kernel.news(), kernel.refused) == ([], "Operation not permitted")
