"""What a runner folder may say, and what is said to one that is wrong."""

import sys
from pathlib import Path

import pytest

from tests.runners.stage import HEAD
from usina.kernel.runners.manifest import Manifest, ManifestError, load_manifest
from usina.kernel.runners.probe import probe
from usina.settings import Settings

GOOD = """\
name = "model"
version = "1.2.3"
task = "image-to-3d"
description = "Makes a thing."
license = "MIT"
command = ["{python}", "run.py", "--fast", "data/table.csv", "https://example.org/x"]
mode = "warm"
shared = true
network = "loopback"
timeout_seconds = 60
[environment]
pass = ["CUDA_VISIBLE_DEVICES", "USINA_MAX_IMAGE_PIXELS"]
[inputs.image]
media_types = ["image/png", "image/jpeg"]
[inputs.masks]
required = false
many = true
[params.size]
type = "integer"
minimum = 1
default = 3
[params.prompt]
type = "string"
required = true
[params.place]
type = "object"
required = ["x"]
properties = {x = {type = "number"}}
[outputs."mesh.glb"]
kind = "model"
[outputs."preview.png"]
kind = "preview"
required = false
[resources]
memory_bytes = 1_000_000_000
slots = 2
gpu = 1
[probe]
command = ["{python}", "probe.py"]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "runner.toml").write_text(text)
    for name in ("run.py", "probe.py"):
        (folder / name).touch()
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/table.csv").touch()
    return folder


def load(folder: Path, more: str, command: str = '["{python}", "run.py"]') -> Manifest:
    return load_manifest(write(folder, HEAD.format(name="model") + f"command = {command}\n" + more))


def test_a_whole_manifest_is_read(tmp_path: Path) -> None:
    manifest = load_manifest(write(tmp_path, GOOD))
    assert manifest.argv() == (
        sys.executable,
        f"{tmp_path}/run.py",
        "--fast",
        f"{tmp_path}/data/table.csv",
        "https://example.org/x",
    )
    assert manifest.probe_argv() == (sys.executable, f"{tmp_path}/probe.py")
    assert (manifest.mode, manifest.shared, manifest.network) == ("warm", True, "loopback")
    assert manifest.outputs["mesh.glb"].required
    assert not manifest.outputs["preview.png"].required
    assert (manifest.resources.slots, manifest.resources.gpu) == (2, 1)


def test_schemas_are_strict_objects(tmp_path: Path) -> None:
    manifest = load_manifest(write(tmp_path, GOOD))
    params = manifest.params_schema()
    assert params["required"] == ["prompt"]
    assert params["additionalProperties"] is False
    assert params["properties"]["prompt"] == {"type": "string"}
    assert params["properties"]["place"]["required"] == ["x"]
    inputs = manifest.input_schema()
    assert inputs["required"] == ["image"]
    assert inputs["properties"]["image"]["x-media-types"] == ["image/png", "image/jpeg"]
    assert [kind["type"] for kind in inputs["properties"]["masks"]["anyOf"]] == ["string", "array"]


def test_only_the_named_variables_pass(tmp_path: Path) -> None:
    manifest = load_manifest(write(tmp_path, GOOD))
    told = {"CUDA_VISIBLE_DEVICES": "0", "HOME": "/root", "SECRET_KEY": "x"}
    assert manifest.passed(told) == {"CUDA_VISIBLE_DEVICES": "0"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("colour = 1", "colour: unknown key"),
        ('folder = "/"', "folder: unknown key"),
        ('mode = "hot"', "mode: "),
        ("timeout_seconds = 0", "timeout_seconds: "),
        ('[inputs."../x"]', "inputs"),
        ('[inputs.image]\nmedia_types = ["png"]', "inputs.image.media_types"),
        ('[outputs."../x"]\nkind = "data"', "outputs"),
        ('[outputs."x"]\nkind = "thing"', "outputs.x.kind"),
        ("[resources]\nmemory_bytes = 1", "resources.memory_bytes"),
        ('[params.a]\ntype = "integr"', "params.a: no JSON Schema: type: "),
        ('[params.a]\ntype = "string"\npattern = "(["', "params.a: no JSON Schema"),
        ('[environment]\npass = ["A"]\nserver = "B"', "environment: Value error, B is not among"),
        ('[params.a]\ntype = "integer"\ndefault = "x"', "params.a: its default 'x' does not fit"),
        ('[params.a]\n"$ref" = "https://example.org/s"', "params.a: refers to"),
        ('[params."a b"]\ntype = "integer"', "params"),
        ('[environment]\npass = ["SECRET_KEY"]', "SECRET_KEY belongs to the platform"),
        ('[environment]\npass = ["USINA_API_KEY"]', "USINA_API_KEY belongs to the platform"),
        ('[environment]\npass = ["A=B"]', "environment.pass.0"),
        ("mode = ", "not valid TOML"),
        ("[probe]\ncommand = []", "probe.command"),
    ],
)
def test_a_fault_is_named_with_file_and_key(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, more)
    assert str(caught.value).startswith(f"{tmp_path}/runner.toml: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('["../other/run"]', "leads out of the runner's folder"),
        ('["{python}", "data/../../x"]', "leads out of the runner's folder"),
        ('["bin/tool"]', "'bin/tool' is not in the runner's folder"),
        ('["{python}", "main.py"]', "'main.py' is not in the runner's folder"),
        ('[""]', "word 1 is empty"),
        ("[]", "command"),
        ('"run.py"', "command"),
    ],
)
def test_a_command_stays_in_its_folder(tmp_path: Path, command: str, said: str) -> None:
    with pytest.raises(ManifestError, match=r"runner\.toml: command"):
        load(tmp_path, "", command)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, "", command)
    assert said in str(caught.value)


def test_no_folder_and_no_text_are_faults_too(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        load_manifest(tmp_path / "nowhere")
    (tmp_path / "runner.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="not valid TOML"):
        load_manifest(tmp_path)


async def test_a_program_that_exists_is_taken_to_run(tmp_path: Path) -> None:
    assert (await probe(load(tmp_path, ""))).reason is None


async def test_a_program_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    manifest = load(tmp_path, "", '["no-such-program-anywhere"]')
    assert (await probe(manifest)).reason == (
        "The program 'no-such-program-anywhere' was not found; install it, or put it on PATH."
    )


async def test_an_environment_is_named_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = load(tmp_path, '[environment]\npython = "$MODEL_PYTHON"')
    monkeypatch.delenv("MODEL_PYTHON", raising=False)
    assert (await probe(manifest)).reason == (
        "MODEL_PYTHON is not set; set it to the Python of the model's environment."
    )
    monkeypatch.setenv("MODEL_PYTHON", f"{tmp_path}/nothing")
    reason = (await probe(manifest)).reason
    assert reason is not None
    assert "which MODEL_PYTHON names" in reason
    monkeypatch.setenv("MODEL_PYTHON", sys.executable)
    assert (await probe(manifest)).reason is None
    assert manifest.argv()[0] == sys.executable


async def test_a_probe_says_why_not(tmp_path: Path) -> None:
    manifest = load(tmp_path, '[probe]\ncommand = ["{python}", "probe.py"]')
    assert await probe(manifest) == (None, "")
    (tmp_path / "probe.py").write_text("print('version 1.2')")
    assert await probe(manifest) == (None, "version 1.2")
    (tmp_path / "probe.py").write_text(
        "import sys\nprint('looking')\nprint('There is no GPU; set X.')\nsys.exit(1)"
    )
    assert (await probe(manifest)).reason == "There is no GPU; set X."
    (tmp_path / "probe.py").write_text("import sys\nsys.exit(3)")
    assert (await probe(manifest)).reason == "The probe ended with exit code 3."


ABROAD = """
[environment]
python = "$ABROAD_PYTHON"
pass = ["ABROAD_WEIGHTS"]
[resources]
gpu = 1
gpu_memory_bytes = 6_000_000_000
cpu = true
[terms]
commercial = false
excluded_territories = ["EU", "KR"]
notice = "Powered by Example"
[[weights]]
name = "abroad"
source = "hf:example/abroad@main"
file = "parts/model.bin"
setting = "ABROAD_WEIGHTS"
[[weights]]
name = "abroad"
source = "https://example.org/files/config.yaml?raw=1"
[install]
git = "https://example.org/abroad.git"
commit = "0123456789abcdef0123456789abcdef01234567"
requirements = ["{source}/requirements.txt"]
settings = {ABROAD_PYTHON = "{python}"}
"""


def test_what_a_model_asks_of_its_operator_is_read(tmp_path: Path) -> None:
    manifest = load(tmp_path, ABROAD)
    assert manifest.terms is not None
    assert (manifest.terms.commercial, manifest.terms.excluded_territories) == (False, ("EU", "KR"))
    assert [str(each.path) for each in manifest.weights] == [
        "abroad/parts/model.bin",
        "abroad/config.yaml",
    ]
    assert manifest.resources.cpu
    assert not load(tmp_path, "[resources]\ngpu = 1\n").resources.cpu
    assert load(tmp_path, "").resources.cpu


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("[terms]\nexcluded_territories = ['Europe']\n", "terms.excluded_territories.0"),
        ("[terms]\nprice = 3\n", "terms.price: unknown key"),
        ("[[weights]]\nname = 'a'\nsource = 'hf:a/b'\n", "which one of the repository?"),
        ("[[weights]]\nname = 'a'\nsource = 'hf:a/b'\nfile = '../x'\n", "leads out of"),
        ("[[weights]]\nname = 'a'\nsource = 'file:///etc/passwd'\n", "weights.0.source"),
        ("[install]\ngit = 'https://example.org/a.git'\n", "git and commit go together"),
        ("[install]\nrequirements = ['no.txt']\n", "'no.txt' is not in the runner's folder"),
        ("[install]\nrequirements = ['{source}/../a']\n", "leads out of"),
        ("[resources]\ncpu = false\n", "cpu = false needs gpu"),
        ("[environment]\nprograms = ['$TOOL']\n", "$TOOL of programs is not among those of pass"),
        ("[environment]\nprograms = ['/bin/tool']\n", "environment.programs.0"),
    ],
)
def test_what_it_asks_is_held_to_its_shape(tmp_path: Path, more: str, fault: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(tmp_path, more)
    assert fault in str(refused.value)


def test_gpus_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'gpu = "$PAINTER_GPUS"\ncpu = true'
    assert load(tmp_path, f"[resources]\n{text}").resources.gpu == 0
    monkeypatch.setenv("PAINTER_GPUS", "2")
    assert load(tmp_path, f"[resources]\n{text}").resources.gpu == 2
    monkeypatch.setenv("PAINTER_GPUS", "all")
    with pytest.raises(ManifestError, match=r"resources\.gpu"):
        load(tmp_path, f"[resources]\n{text}")


async def test_a_home_in_env_does_what_one_in_the_environment_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, sys; sys.exit(os.environ.get('SF3D_SCRIPT_PATH'))"
    probing = (
        "[environment]\npython = '$SF3D_PYTHON_PATH'\npass = ['SF3D_SCRIPT_PATH']\n"
        f"""[probe]\ncommand = ["{{python}}", "-c", "{program}"]\n"""
    )
    folder = tmp_path / "there"
    folder.mkdir()
    load(folder, probing)
    (tmp_path / ".env").write_text(
        f"SF3D_PYTHON_PATH={sys.executable}\nSF3D_SCRIPT_PATH=/somewhere/run.py\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("SF3D_PYTHON_PATH", "SF3D_SCRIPT_PATH"):
        monkeypatch.delenv(name, raising=False)
    here = load_manifest(folder, Settings().homes())

    assert here.argv()[0] == sys.executable
    assert here.passed({"PATH": "/bin"}) == {"SF3D_SCRIPT_PATH": "/somewhere/run.py"}
    assert (await probe(here)).reason == "/somewhere/run.py", "the probe is told it too"
    monkeypatch.setenv("SF3D_SCRIPT_PATH", "/elsewhere/run.py")
    assert (await probe(here)).reason == "/elsewhere/run.py", "the environment wins"
    bare = load_manifest(folder)
    assert (await probe(bare)).reason == (
        "SF3D_PYTHON_PATH is not set; set it to the Python of the model's environment."
    )
