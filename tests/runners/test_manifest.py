"""What a runner folder may say, and what is said to one that is wrong."""

import sys
from pathlib import Path

import pytest

from tests.runners.stage import HEAD
from usina.kernel.runners.manifest import Manifest, ManifestError, load_manifest, probe

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
    assert await probe(load(tmp_path, "")) is None


async def test_a_program_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    manifest = load(tmp_path, "", '["no-such-program-anywhere"]')
    assert await probe(manifest) == (
        "The program 'no-such-program-anywhere' was not found; install it, or put it on PATH."
    )


async def test_an_environment_is_named_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = load(tmp_path, '[environment]\npython = "$MODEL_PYTHON"')
    monkeypatch.delenv("MODEL_PYTHON", raising=False)
    assert await probe(manifest) == (
        "MODEL_PYTHON is not set; set it to the Python of the model's environment."
    )
    monkeypatch.setenv("MODEL_PYTHON", f"{tmp_path}/nothing")
    reason = await probe(manifest)
    assert reason is not None
    assert "which MODEL_PYTHON names" in reason
    monkeypatch.setenv("MODEL_PYTHON", sys.executable)
    assert await probe(manifest) is None
    assert manifest.argv()[0] == sys.executable


async def test_a_probe_says_why_not(tmp_path: Path) -> None:
    manifest = load(tmp_path, '[probe]\ncommand = ["{python}", "probe.py"]')
    assert await probe(manifest) is None
    (tmp_path / "probe.py").write_text(
        "import sys\nprint('looking')\nprint('There is no GPU; set X.')\nsys.exit(1)"
    )
    assert await probe(manifest) == "There is no GPU; set X."
    (tmp_path / "probe.py").write_text("import sys\nsys.exit(3)")
    assert await probe(manifest) == "The probe ended with exit code 3."
