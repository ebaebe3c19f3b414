"""Each check notices the program that breaks it, and says so; a good program passes them all."""

import asyncio
from pathlib import Path

import pytest

from tests.runners.check.rogue import ROGUES, Rogue
from usina.kernel.runners.check import stop, subject
from usina.kernel.runners.check.observation import processes_below
from usina.kernel.runners.check.suite import CHECKS, MANIFEST, examine

OF_THE_PLATFORM = {"memory-limit", "log-limit", "no-process-left"}
"""What no program can break as long as the platform does its part."""

OF_THE_SANDBOX = {"home-empty", "no-file-outside", "network"}
"""What a program can break only where no layer keeps it from that: they have tests of their own."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is late is found so after 0.6 s instead of 5."""
    monkeypatch.setattr(stop, "GONE_SECONDS", 0.6)
    monkeypatch.setattr("usina.kernel.runners.check.limit.GONE_SECONDS", 0.6)
    monkeypatch.setattr(stop, "_KILL_SECONDS", 1.5)
    monkeypatch.setattr(subject, "_PATIENCE", 1)


def test_every_check_has_a_program_that_breaks_it() -> None:
    names = {check.name for check in CHECKS} | {MANIFEST}

    assert {rogue.check for rogue in ROGUES} == names - OF_THE_PLATFORM - OF_THE_SANDBOX
    assert len(names) == len(CHECKS) + 1


@pytest.mark.parametrize("rogue", ROGUES, ids=lambda rogue: f"{rogue.check}-{rogue.said}")
async def test_a_program_that_breaks_the_contract_is_told_how(rogue: Rogue, tmp_path: Path) -> None:
    found = await examine(rogue.write(tmp_path / "rogue-v1"), only=[rogue.check])

    (finding,) = (each for each in found if each.name == rogue.check)
    assert (finding.verdict, rogue.said in finding.why) == ("failed", True), finding


async def test_without_examples_those_of_the_schema_are_taken(tmp_path: Path) -> None:
    needed = "[params.word]\ndescription = 'A word.'\ntype = 'string'\nrequired = true\n"
    program = (
        "def main(job):\n    assert job.params['word'] == 'sesame'\n"
        "    (job.outputs / 'out.txt').write_text('done')\n"
    )
    told = Rogue("result", "", Rogue.manifest + needed + "examples = ['sesame']\n", program)
    silent = Rogue("result", "", Rogue.manifest + needed, program)

    found = await examine(told.write(tmp_path / "told"), only=["result"])
    assert found[0].verdict == "passed", found
    found = await examine(silent.write(tmp_path / "silent"), only=["result"])
    assert (found[0].verdict, "it needs word" in found[0].why) == ("failed", True), found


async def test_a_process_below_a_folder_is_seen(tmp_path: Path) -> None:
    stray = await asyncio.create_subprocess_exec("sleep", "60", env={"HOME": f"{tmp_path}/job-1"})
    other = await asyncio.create_subprocess_exec("sleep", "60", env={"HOME": f"{tmp_path}-2/job"})
    try:
        assert processes_below(tmp_path) == {stray.pid}
    finally:
        for process in (stray, other):
            process.kill()
            await process.wait()
    assert processes_below(tmp_path) == set()


@pytest.mark.parametrize("where", ["{folder}/state", "/tmp/usina-test-{name}"])
async def test_a_program_that_writes_elsewhere_is_seen(tmp_path: Path, where: str) -> None:
    """Where a layer of the sandbox keeps it in, it does its work without."""
    path = Path(where.format(folder=tmp_path / "rogue-v1", name=tmp_path.name))
    program = (
        "def main(job):\n    try:\n"
        f"        with open({str(path)!r}, 'w') as file:\n            file.write('x')\n"
        "            time.sleep(0.3)\n    except OSError:\n        pass\n"
        "    (job.outputs / 'out.txt').write_text('done')\n"
    )

    rogue = Rogue("no-file-outside", "", program=program)
    found = await examine(rogue.write(tmp_path / "rogue-v1"), only=["no-file-outside"])

    (finding,) = found
    assert finding.verdict == ("failed" if path.exists() else "passed"), finding
    assert finding.verdict == "passed" or f"it wrote {path};" in finding.why
    path.unlink(missing_ok=True)


async def test_a_warm_program_that_heaps_up_files_is_seen(tmp_path: Path) -> None:
    """Where the platform itself empties the home between jobs, there is nothing to see."""
    program = (
        "HOME = os.getcwd()\ndef main(job):\n    open(f'{HOME}/cache.bin', 'w').close()\n"
        "    (job.outputs / 'out.txt').write_text('done')\n"
    )
    rogue = Rogue("home-empty", "", 'mode = "warm"\n' + Rogue.manifest, program)

    found = await examine(rogue.write(tmp_path / "rogue-v1"), only=["home-empty"])

    (finding,) = found
    assert finding.verdict == "passed" or "its home holds cache.bin" in finding.why, finding
    assert finding.verdict != "not checked"


VISITOR = """\
import socket
def main(job):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
            visitor.connect(("127.0.0.1", 9))
            time.sleep(0.5)
    except OSError:
        pass
    (job.outputs / "out.txt").write_text("done")
"""


async def test_a_program_that_declares_no_network_does_not_open_it(tmp_path: Path) -> None:
    """Where a layer of the sandbox keeps it off, it does its work without."""
    rogue = Rogue("network", "", program=VISITOR)

    found = await examine(rogue.write(tmp_path / "rogue-v1"), only=["network"])

    (finding,) = found
    assert (finding.verdict, finding.why) in (
        ("failed", "it opened the network (udp) and declares none"),
        ("passed", "kept off, and done"),
    )


@pytest.mark.parametrize(
    "allowed",
    ['network = "loopback"\n', '[environment]\npass = ["ROGUE_URL"]\nserver = "ROGUE_URL"\n'],
)
async def test_a_program_that_may_use_the_network_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    monkeypatch.setenv("ROGUE_URL", "http://127.0.0.1:9")
    command, outputs = Rogue.manifest.split("\n", 1)
    manifest = f"{command}\n{allowed}{outputs}"
    rogue = Rogue("network", "", manifest, VISITOR)

    found = await examine(rogue.write(tmp_path / "rogue-v1"), only=["network"])

    assert found[0].verdict == "not checked"


async def test_nothing_is_said_of_a_program_whose_manifest_is_wrong(tmp_path: Path) -> None:
    found = await examine(Rogue("", "", "colour = 1\n").write(tmp_path / "rogue-v1"))

    assert [each.verdict for each in found].count("failed") == 1
    assert {each.why for each in found[1:]} == {"the manifest has to be right first"}
    assert len(found) == len(CHECKS) + 1


async def test_a_good_program_in_another_language_passes(tmp_path: Path) -> None:
    folder = tmp_path / "copy-v1"
    (folder / "examples").mkdir(parents=True)
    (folder / "runner.toml").write_text(
        'name = "copy-v1"\nversion = "1"\ntask = "test"\ndescription = "Copies a text, slowly."\n'
        'license = "MIT"\ncommand = ["sh", "run.sh"]\ndeterministic = true\n[inputs.text]\n'
        '[outputs."copy.txt"]\nkind = "data"\n'
    )
    (folder / "run.sh").write_text(
        'echo copying\necho \'{"type": "progress", "progress": 0.5, "stage": "copy"}\' >&3\n'
        "sleep 0.3\ncat inputs/* - >outputs/copy.txt\necho end >>outputs/copy.txt\n"
        'echo \'{"type": "result"}\' >&3\n'
    )
    (folder / "examples/one.json").write_text('{"inputs": {"text": "one.txt"}}')
    (folder / "examples/one.txt").write_text("One.\n")

    found = await examine(folder)

    assert [each for each in found if each.verdict == "failed"] == []
    passed = {each.name for each in found if each.verdict == "passed"}
    assert {"result", "protocol", "cancel-midway", "term", "time-limit", "deterministic"} <= passed
    assert {"log-limit", "no-process-left"} <= passed
