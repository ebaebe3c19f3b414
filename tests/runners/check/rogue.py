"""Programs that break the contract in one way each."""

from dataclasses import dataclass, field
from pathlib import Path

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1"
    b"H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
)
NAMES = 'name = "rogue-v1"\nversion = "1.0.0"\ntask = "test"\n'
ABOUT = 'description = "A program of a test."\nlicense = "MIT"\n'
PYTHON = 'command = ["{python}", "run.py"]\n'
SHELL = 'command = ["sh", "run.py"]\n'
WARM = 'mode = "warm"\n'
IMAGE = '[inputs.image]\nmedia_types = ["image/png"]\n'
OUT = '[outputs."out.txt"]\nkind = "data"\n'
REPORT = '[outputs."report.json"]\nkind = "report"\n'
LEVEL = (
    "[params.level]\ndescription = 'How much.'\ntype = 'integer'\n"
    "minimum = 0\nmaximum = 9\ndefault = 5\n"
)
GATE = '[gates.whole]\nmetric = "parts"\nat_least = 4\nmessage = "No part is missing."\n'
SEED = "[params.seed]\ndescription = 'The seed.'\ntype = 'integer'\ndefault = 0\n"

HEAD = "import os, json, sys, time\nimport usina_runner\n"
WRITE = "(job.outputs / 'out.txt').write_text('done')"
GOOD = f"def main(job):\n    {WRITE}\n"
RUN = "usina_runner.run(main)\n"
DEAF = (
    "import signal\n"
    "def main(job):\n"
    "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "    job.progress(0.1, 'begun')\n"
    "    time.sleep(0.9)\n"
    "    job._channel.send({'type': 'progress', 'progress': 0.8, 'stage': 'deaf'})\n"
    f"    time.sleep(0.9)\n    {WRITE}\n"
)


@dataclass(frozen=True)
class Rogue:
    """``check`` fails, and says ``said``; ``shell`` programs are written whole."""

    check: str
    said: str
    manifest: str = PYTHON + OUT
    program: str = GOOD
    shell: bool = False
    head: str = NAMES + ABOUT
    files: dict[str, str | bytes] = field(default_factory=dict[str, str | bytes])

    def write(self, folder: Path) -> Path:
        (folder / "examples").mkdir(parents=True)
        (folder / "runner.toml").write_text(self.head + self.manifest)
        program = self.program if self.shell else HEAD + self.program + RUN
        (folder / "run.py").write_text(program)
        for name, content in self.files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / "examples" / name).write_bytes(data)
        return folder


def _with_image(check: str, said: str, body: str) -> Rogue:
    files: dict[str, str | bytes] = {"one.json": '{"inputs": {"image": "a.png"}}', "a.png": PNG}
    head = "def main(job):\n    data = job.inputs['image'][0].read_bytes()\n"
    lines = "".join(f"    {line}\n" for line in (*body.splitlines(), WRITE))
    return Rogue(check, said, PYTHON + IMAGE + OUT, head + lines, files=files)


def _with_level(check: str, said: str, body: str, manifest: str = LEVEL) -> Rogue:
    return Rogue(check, said, PYTHON + manifest + OUT, f"def main(job):\n    {body}\n    {WRITE}\n")


def _shell(check: str, said: str, *lines: str, manifest: str = OUT, head: str = "") -> Rogue:
    program = "\n".join((*lines, ""))
    return Rogue(check, said, head + SHELL + manifest, program, shell=True)


_REFUSE = "raise usina_runner.InvalidInput({!r}, {!r})"
_END = 'echo \'{"type":"result"}\' >&3'

ROGUES = (
    Rogue("manifest", "colour: unknown key", "colour = 1\n" + PYTHON + OUT),
    Rogue("license", "license is 'TODO'", head=NAMES + ABOUT.replace("MIT", "TODO")),
    Rogue("description", "say in a sentence", head=NAMES + 'description = "x"\nlicense = "MIT"\n'),
    Rogue("parameters", "a has no description", PYTHON + "[params.a]\ntype = 'string'\n" + OUT),
    Rogue("parameters", "b has no type", PYTHON + "[params.b]\ndescription = 'B.'\n" + OUT),
    Rogue("parameters", "example 77 of level", PYTHON + LEVEL + "examples = [77]\n" + OUT),
    Rogue("media-types", "'image/jpg'", PYTHON + IMAGE.replace("png", "jpg") + OUT),
    Rogue("outputs", "no output is declared", PYTHON),
    Rogue("outputs", "'a.png' can not be", PYTHON + '[outputs."a.png"]\nkind = "model"\n'),
    Rogue("examples", "one.json: /params/size", files={"one.json": '{"params": {"size": 3}}'}),
    Rogue("examples", "one.json: para", files={"one.json": '{"para": {}}'}),
    Rogue("examples", "Invalid JSON", files={"one.json": "{"}),
    Rogue(
        "examples",
        "No such file",
        PYTHON + IMAGE + OUT,
        files={"one.json": '{"inputs": {"image": "none.png"}}'},
    ),
    Rogue(
        "examples",
        "'image' is text/plain",
        PYTHON + IMAGE + OUT,
        files={"one.json": '{"inputs": {"image": "a.png"}}', "a.png": "text"},
    ),
    Rogue(
        "probe",
        "Buy one.",
        PYTHON + OUT + "[probe]\ncommand = ['sh', '-c', 'echo Buy one.; exit 1']",
    ),
    Rogue("result", "it needs image", PYTHON + IMAGE + OUT),
    Rogue(
        "result",
        "runner_failed, value_error: bad luck",
        program="def main(job):\n    raise ValueError('bad luck')\n",
    ),
    Rogue("result", "missing_output", program="def main(job):\n    pass\n"),
    _shell("result", "no_result", "echo ready to go", "exit 0"),
    Rogue(
        "every-example",
        "two: runner_failed",
        PYTHON + LEVEL + OUT,
        f"def main(job):\n    assert job.params['level'] < 7\n    {WRITE}\n",
        files={"one.json": "{}", "two.json": '{"params": {"level": 8}}'},
    ),
    Rogue(
        "ready",
        "it left after its first job",
        WARM + PYTHON + OUT,
        f"def main(job):\n    {WRITE}\n    job._channel._leaving = True\n    "
        "job._channel.send({'type': 'result'})\n    os._exit(0)\n",
    ),
    Rogue(
        "ready",
        "spoke after its answer",
        WARM + PYTHON + OUT,
        f'def main(job):\n    {WRITE}\n    os.write(3, b\'{{"type":"result"}}\\n\' * 2)\n',
    ),
    _shell(
        "protocol", "is no JSON object: hello", "echo hello >&3", "echo x >outputs/out.txt", _END
    ),
    _shell(
        "protocol",
        "comes after its answer: log",
        "echo x >outputs/out.txt",
        _END,
        """echo '{"type":"log","level":"info","message":"more"}' >&3""",
    ),
    _shell(
        "protocol",
        "(percent)",
        "echo x >outputs/out.txt",
        """echo '{"type":"progress","progress":0.1,"percent":10}' >&3""",
        _END,
    ),
    _shell(
        "protocol",
        "has the type 'done'",
        "echo x >outputs/out.txt",
        """echo '{"type":"done"}' >&3""",
        _END,
    ),
    _shell(
        "progress",
        "progress 40 is not within",
        "echo x >outputs/out.txt",
        """echo '{"type":"progress","progress":40}' >&3""",
        _END,
    ),
    _shell(
        "progress",
        "fell from 0.9 to 0.1",
        "echo x >outputs/out.txt",
        """echo '{"type":"progress","progress":0.9}' >&3""",
        """echo '{"type":"progress","progress":0.1}' >&3""",
        _END,
    ),
    _shell("outputs-made", "out.txt: there, but empty", ": >outputs/out.txt", _END),
    _shell("outputs-made", "it made nothing", _END, manifest=OUT + "required = false\n"),
    _shell(
        "output-types",
        "a.png is text/plain",
        "echo x >outputs/a.png",
        _END,
        manifest='[outputs."a.png"]\nkind = "image"\n',
    ),
    _shell("report", "no JSON object", "echo '[]' >outputs/report.json", _END, manifest=REPORT),
    Rogue(
        "report",
        "params is not what the job says",
        PYTHON + LEVEL + REPORT,
        "def main(job):\n    job.report({'params': {}})\n",
    ),
    Rogue(
        "report",
        "seconds has to be",
        PYTHON + REPORT,
        "def main(job):\n    job.report({'seconds': 3})\n",
    ),
    Rogue("gates", "whole: Not checked", PYTHON + OUT + GATE),
    Rogue(
        "gates",
        "whole: parts is 3, not >= 4",
        PYTHON + OUT + GATE,
        f"def main(job):\n    {WRITE}\n    job.metric('parts', 3)\n",
    ),
    _with_image("input-empty", "was taken for a good one", "pass"),
    _with_image(
        "input-truncated", "runner_failed, assertion_error", "assert data.endswith(b'B`\\x82')"
    ),
    _with_image(
        "input-wrong-type",
        "the message is a traceback",
        "if data[:4] != b'\\x89PNG':\n    "
        + _REFUSE.format("bad", "Traceback (most recent call last): x"),
    ),
    _with_image(
        "input-wrong-type",
        "not in snake_case",
        "if data[:4] != b'\\x89PNG':\n    " + _REFUSE.format("Bad Picture", "This is no picture."),
    ),
    _with_image("input-wrong-type", "hung it", "if data[:4] != b'\\x89PNG':\n    time.sleep(60)"),
    _with_image("input-empty", "has no message", "if not data:\n    " + _REFUSE.format("bad", "")),
    _with_image("input-unchanged", "it changed", "job.inputs['image'][0].write_bytes(b'mine')"),
    _with_image("input-names", "file_not_found_error", "open('inputs/image.png').close()"),
    _with_level("smallest-parameters", "level=0 ended with", "1 / job.params['level']"),
    _with_level("largest-parameters", "level=9 ended with", "1 / (9 - job.params['level'])"),
    _with_level(
        "every-choice",
        "way=up ended with runner_failed",
        "{'down': 1}[job.params['way']]",
        "[params.way]\ndescription = 'W.'\nenum = ['up', 'down']\ndefault = 'down'\n",
    ),
    Rogue(
        "again",
        "a second run made other files: again.txt",
        WARM + PYTHON + OUT,
        f"done = []\ndef main(job):\n    {WRITE}\n    done.append(1)\n"
        "    if len(done) > 1:\n        (job.outputs / 'again.txt').write_text('x')\n"
        "        job.artifact('again.txt', 'data')\n",
    ),
    Rogue(
        "other-organization",
        "another organization ended with runner_failed",
        WARM + "shared = true\n" + PYTHON + OUT,
        f"done = []\ndef main(job):\n    {WRITE}\n    done.append(1)\n    assert len(done) < 2\n",
    ),
    _with_level("second-attempt", "a second attempt ended with", "assert job.attempt == 1"),
    Rogue(
        "deterministic",
        "another process made other files: out.txt",
        "deterministic = true\n" + PYTHON + OUT,
        "def main(job):\n    (job.outputs / 'out.txt').write_bytes(os.urandom(9))\n",
    ),
    Rogue(
        "seed",
        "seed 1234 made other files: out.txt",
        "deterministic = true\n" + PYTHON + SEED + OUT,
        "def main(job):\n    lucky = os.urandom(9) if job.params['seed'] else b'0'\n"
        "    (job.outputs / 'out.txt').write_bytes(lucky)\n",
    ),
    _shell(
        "cancel-at-start",
        "s after its cancel",
        "trap '' TERM",
        "sleep 1.5",
        "echo x >outputs/out.txt",
        _END,
    ),
    Rogue(
        "cancel-midway",
        "its next job after a cancel",
        WARM + PYTHON + OUT,
        "ill = []\ndef main(job):\n    assert not ill\n    ill.append(1)\n"
        f"    job.progress(0.1, 'a')\n    job.sleep(1)\n    {WRITE}\n    ill.clear()\n",
    ),
    Rogue("cancel-near-end", "s after its cancel", PYTHON + OUT, DEAF),
    Rogue("term", "TERM did not end it", PYTHON + OUT, DEAF),
    Rogue("time-limit", "s after its time was over", PYTHON + OUT, DEAF),
)
