"""Artifacts: staged before their rows, taken back when their job is lost."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.files.conftest import Desk
from tests.storage.conftest import SMALL_DISK_BYTES, everything_in
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.service import Artifacts, NewArtifact, OutputRefused
from usina.kernel.artifacts.stage import INLINE_BYTES
from usina.kernel.artifacts.store import describe, forget_jobs, insert_artifacts, of_jobs
from usina.kernel.errors import NotFound, StorageFull
from usina.kernel.ids import new_id
from usina.kernel.storage.folder import FolderStore

LARGE = os.urandom(INLINE_BYTES + 1)


@dataclass
class Shop:
    """A job's outputs, and where they go."""

    desk: Desk
    artifacts: Artifacts
    outputs: Path
    job_id: str

    def output(self, name: str, content: bytes, kind: str = "data") -> NewArtifact:
        path = self.outputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.new(path, kind)

    def new(self, path: Path, kind: str = "data") -> NewArtifact:
        organization_id = self.desk.caller.organization_id
        return NewArtifact(organization_id, self.job_id, 1, kind, path.name, path, path.parent)

    async def made(self, *outputs: NewArtifact) -> list[Artifact]:
        staged = await self.artifacts.stage(outputs)
        await self.desk.database.write(lambda tx: insert_artifacts(tx, staged))
        return staged

    async def content(self, artifact: Artifact) -> bytes:
        steps = self.artifacts.read(artifact, 0, artifact.size_bytes)
        return b"".join([bytes(step) async for step in steps])


@pytest.fixture
def shop(desk: Desk, tmp_path: Path) -> Shop:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    return Shop(desk, Artifacts(desk.database, desk.store, desk.clock), outputs, new_id())


@pytest.mark.parametrize(
    "size",
    [0, 1, 200, INLINE_BYTES, INLINE_BYTES + 1, 1024**2 - 1, 1024**2, 1024**2 + 1, 9 * 1024**2],
)
async def test_an_output_is_kept_with_its_hash(shop: Shop, size: int) -> None:
    content = os.urandom(size)
    (made,) = await shop.made(shop.output("field.bin", content))
    artifact = await shop.artifacts.get(shop.desk.caller.organization_id, made.id)
    assert artifact == made
    assert (artifact.size_bytes, artifact.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert await shop.content(artifact) == content
    steps = shop.artifacts.read(artifact, size // 3, size // 2)
    assert b"".join([bytes(step) async for step in steps]) == content[size // 3 : size // 2]


async def test_a_small_output_lies_in_its_row_and_a_large_one_in_the_store(shop: Shop) -> None:
    small, large = await shop.made(
        shop.output("small", bytes(INLINE_BYTES)), shop.output("large", LARGE)
    )
    assert (small.inline, large.inline) == (True, False)
    assert shop.desk.objects() == [large.key]
    found = await shop.desk.database.read(lambda tx: of_jobs(tx, [shop.job_id]))
    assert found[shop.job_id] == (small, large)
    assert [artifact.content for artifact in found[shop.job_id]] == [None, None]


async def test_types_are_sniffed_and_names_cleaned(shop: Shop) -> None:
    staged = await shop.artifacts.stage(
        [
            shop.output("report.json", b'{"a": 1}', "report"),
            shop.output("mesh.glb", b"glTF\2\0\0\0\x14\0\0\0"),
            shop.output("sub/particles.csv", b"x,y\n1,2\n"),
            shop.output("preview.png", b"<html>no picture</html>", "preview"),
        ]
    )
    assert [(a.name, a.media_type) for a in staged] == [
        ("report.json", "application/json"),
        ("mesh.glb", "model/gltf-binary"),
        ("particles.csv", "text/csv"),
        ("preview.png", "text/html"),
    ]


async def test_staged_is_not_there_before_its_row(shop: Shop) -> None:
    (artifact,) = await shop.artifacts.stage([shop.output("a", LARGE)])
    assert shop.desk.objects() == [artifact.key]
    organization_id = shop.desk.caller.organization_id
    with pytest.raises(NotFound):
        await shop.artifacts.get(organization_id, artifact.id)
    await shop.desk.database.write(lambda tx: insert_artifacts(tx, [artifact]))
    assert await shop.artifacts.get(organization_id, artifact.id) == artifact


async def test_discarded_leaves_nothing(shop: Shop) -> None:
    staged = await shop.artifacts.stage([shop.output("a", LARGE), shop.output("b", b"b")])
    await shop.artifacts.discard(staged)
    assert shop.desk.objects() == []
    await shop.artifacts.discard(staged)


async def test_anothers_artifact_is_not_there_but_by_its_link(shop: Shop) -> None:
    (artifact,) = await shop.made(shop.output("a", b"a"))
    with pytest.raises(NotFound):
        await shop.artifacts.get(shop.desk.other.organization_id, artifact.id)
    assert await shop.artifacts.signed(artifact.id) == artifact
    with pytest.raises(NotFound):
        await shop.artifacts.signed("no-id")


async def test_artifacts_of_jobs_come_in_the_order_of_their_making(shop: Shop) -> None:
    first = await shop.made(*(shop.output(f"{n}", LARGE) for n in range(5)))
    shop.job_id, first_job = new_id(), shop.job_id
    second = await shop.made(shop.output("other", LARGE))
    jobs = [first_job, shop.job_id, new_id()]
    found = await shop.desk.database.read(lambda tx: of_jobs(tx, jobs))
    assert found == {first_job: tuple(first), shop.job_id: tuple(second)}
    keys = await shop.desk.database.read(lambda tx: shop.artifacts.keys_of_jobs(tx, jobs))
    assert sorted(keys) == shop.desk.objects()
    await shop.desk.database.write(lambda tx: forget_jobs(tx, [first_job]))
    await shop.artifacts.delete_objects([a.key for a in first])
    assert shop.desk.objects() == [second[0].key]
    assert await shop.desk.database.read(lambda tx: of_jobs(tx, jobs)) == {
        shop.job_id: tuple(second)
    }


async def test_described_as_the_contract_says(shop: Shop) -> None:
    (artifact,) = await shop.made(shop.output("report.json", b"{}", "report"))
    assert describe(artifact) == {
        "id": artifact.id,
        "kind": "report",
        "name": "report.json",
        "media_type": "application/json",
        "size_bytes": 2,
        "sha256": hashlib.sha256(b"{}").hexdigest(),
    }


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize("make", [_link, _pipe, _folder, _nothing])
async def test_what_is_no_plain_file_is_refused_and_nothing_of_the_rest_kept(
    shop: Shop, make: Callable[[Path], None]
) -> None:
    path = shop.outputs / "hostile"
    make(path)
    good = shop.output("good", LARGE)
    with pytest.raises(OutputRefused, match="'hostile'") as refusal:
        await shop.artifacts.stage([good, shop.new(path)])
    assert refusal.value.reason == "bad_artifact"
    assert "/etc" not in str(refusal.value)
    assert shop.desk.objects() == []


async def test_a_full_disk_keeps_none_of_them(shop: Shop, small_disk: Path) -> None:
    store = FolderStore(small_disk / "store")
    artifacts = Artifacts(shop.desk.database, store, shop.desk.clock)
    outputs = [shop.output("a", LARGE), shop.output("b", bytes(4 * SMALL_DISK_BYTES))]
    with pytest.raises(StorageFull):
        await artifacts.stage(outputs)
    assert everything_in(small_disk) == []
    store.close()
