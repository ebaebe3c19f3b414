"""Work folders: private, looked at without following anything, and always removed."""

import os
import socket
from pathlib import Path

import pytest

from tests.runners.stage import HEAD
from usina.kernel.runners.manifest import Manifest, load_manifest
from usina.kernel.runners.protocol import DeclaredArtifact
from usina.kernel.runners.work import BadOutput, WorkFolder, sweep


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder.create(tmp_path / "root", "job")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return declared_by(tmp_path, "")


def declared_by(folder: Path, more: str) -> Manifest:
    text = HEAD.format(name="model") + 'command = ["sh"]\n' + more
    (folder / "runner.toml").write_text(text)
    return load_manifest(folder)


def artifact(path: str, kind: str = "data", name: str | None = None) -> DeclaredArtifact:
    return DeclaredArtifact(path, name or Path(path).name, kind)


def test_a_folder_is_private_and_has_its_parts(work: WorkFolder) -> None:
    work.write_job({"id": "ü", "params": {"x": 0.1}})
    assert (work.path / "job.json").read_text() == '{"id":"ü","params":{"x":0.1}}'
    for path in (work.path, work.path / "inputs", work.outputs):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (work.path / "job.json").stat().st_mode & 0o777 == 0o600


def test_what_a_dead_platform_left_under_the_name_is_gone(work: WorkFolder) -> None:
    (work.outputs / "old").write_text("old")
    again = WorkFolder.create(work.path.parent, work.path.name)
    assert list(again.outputs.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a folder"):
        WorkFolder.create(tmp_path, name)


def test_declared_files_are_collected_and_the_last_word_counts(
    work: WorkFolder, manifest: Manifest
) -> None:
    (work.outputs / "deep/er").mkdir(parents=True)
    (work.outputs / "deep/er/a.bin").write_bytes(b"12345")
    (work.outputs / "b").write_bytes(b"1")
    found = work.collect(
        manifest,
        [
            artifact("outputs/deep/er/a.bin", "model"),
            artifact("outputs/b", name="x"),
            artifact(f"{work.outputs}/./b", "log", name="x"),
        ],
    )
    assert [(output.name, output.kind, output.size) for output in found] == [
        ("a.bin", "model", 5),
        ("x", "log", 1),
    ]
    assert found[0].path == work.outputs / "deep/er/a.bin"


def test_outputs_of_the_manifest_need_not_be_declared(work: WorkFolder, tmp_path: Path) -> None:
    manifest = declared_by(
        tmp_path,
        '[outputs."mesh.glb"]\nkind = "model"\n'
        '[outputs."p.png"]\nkind = "preview"\nrequired = false',
    )
    with pytest.raises(BadOutput, match=r"did not make 'mesh\.glb'") as caught:
        work.collect(manifest, [])
    assert caught.value.reason == "missing_output"
    (work.outputs / "mesh.glb").write_bytes(b"glTF")
    assert [(o.name, o.kind) for o in work.collect(manifest, [])] == [("mesh.glb", "model")]
    (work.outputs / "p.png").symlink_to("/etc/passwd")
    with pytest.raises(BadOutput, match="not a regular file"):
        work.collect(manifest, [])


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _link_inside(path: Path) -> None:
    (path.parent / "true").write_text("x")
    path.symlink_to("true")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _hard_link(path: Path) -> None:
    (path.parent / "true").write_text("x")
    path.hardlink_to(path.parent / "true")


def _socket(path: Path) -> None:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.close()


BAD = {
    "link": (_link, "is not a regular file"),
    "link inside": (_link_inside, "is not a regular file"),
    "dangling link": (_dangling, "is not a regular file"),
    "hard link": (_hard_link, "is a hard link"),
    "fifo": (os.mkfifo, "is not a regular file"),
    "device": (lambda path: os.mknod(path, 0o020600, os.makedev(1, 5)), "is not a regular file"),
    "socket": (_socket, "is not a regular file"),
    "folder": (Path.mkdir, "is not a regular file"),
    "missing": (lambda path: None, "is not there"),
}


@pytest.mark.parametrize("what", BAD)
def test_only_regular_files_are_taken(work: WorkFolder, manifest: Manifest, what: str) -> None:
    make, said = BAD[what]
    make(work.outputs / "it")
    with pytest.raises(BadOutput, match=said) as caught:
        work.collect(manifest, [artifact("outputs/it")])
    assert caught.value.reason == "bad_artifact"
    assert str(work.path) not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "job.json",
        "outputs",
        "outputs/",
        "outputs/../job.json",
        "outputs/../../other/outputs/x",
        "../job/../job/job.json",
        "/etc/passwd",
        "",
        "outputsx/y",
        "outputs/" + "x" * 5000,
        "outputs/linked/passwd",
        "outputs/file/below",
    ],
)
def test_only_what_lies_in_outputs_is_taken(
    work: WorkFolder, manifest: Manifest, path: str
) -> None:
    (work.outputs / "linked").symlink_to("/etc")
    (work.outputs / "file").touch()
    (work.path / "outputsx").mkdir()
    (work.path / "outputsx/y").touch()
    with pytest.raises(BadOutput) as caught:
        work.collect(manifest, [artifact(path, name="x")])
    assert caught.value.reason == "bad_artifact"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a/b", "data"), ("", "data"), ("a\nb", "data"), ("x" * 256, "data"), ("x", "evil")],
)
def test_names_and_kinds_are_checked(
    work: WorkFolder, manifest: Manifest, name: str, kind: str
) -> None:
    (work.outputs / "x").touch()
    with pytest.raises(BadOutput):
        work.collect(manifest, [DeclaredArtifact("outputs/x", name, kind)])


def test_outputs_that_became_a_link_are_refused(work: WorkFolder, manifest: Manifest) -> None:
    work.outputs.rmdir()
    work.outputs.symlink_to("/etc")
    with pytest.raises(BadOutput, match="took its folder"):
        work.collect(manifest, [artifact("outputs/passwd")])


def test_nothing_outside_is_removed(work: WorkFolder, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (work.outputs / "link").symlink_to(precious)
    (work.outputs / "file").symlink_to(precious / "file")
    work.remove()
    assert not work.path.exists()
    assert (precious / "file").read_text() == "x"


def test_a_link_in_place_of_the_folder_is_only_unlinked(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/job").symlink_to(tmp_path / "precious")
    WorkFolder(tmp_path / "root/job").remove()
    assert (tmp_path / "precious").is_dir()
    assert list((tmp_path / "root").iterdir()) == []


def test_depth_and_closed_folders_do_not_matter(work: WorkFolder) -> None:
    descriptor = os.open(work.outputs, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=descriptor)
        deeper = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    closed = work.outputs / "closed/inner"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    closed.parent.chmod(0)
    work.remove()
    assert not work.path.exists()


def test_removing_what_is_gone_is_fine(work: WorkFolder) -> None:
    work.remove()
    work.remove()
    assert not work.path.exists()


def test_a_sweep_keeps_what_is_named(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a", "b", "c"):
        WorkFolder.create(root, name)
    (root / "file").touch()
    assert sweep(root, {"b"}) == 3
    assert [path.name for path in root.iterdir()] == ["b"]
    assert sweep(tmp_path / "nowhere") == 0
