"""A program that changes is another one; where it changed under us, nobody's results are shared."""

from pathlib import Path

from tests.runners.stage import make_runner
from usina.kernel.runners.identity import Identities, recipe_of


async def test_what_a_program_is_follows_its_files_and_what_its_variables_name(
    tmp_path: Path,
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.bin").write_bytes(b"one")
    manifest = make_runner(tmp_path / "model-v1", "pass", more="[environment]\npass = ['HOME_OF']")
    told = {"HOME_OF": str(weights)}

    first = await Identities().of(manifest, told)
    assert first is not None
    assert await Identities().of(manifest, told) == first
    assert await Identities().of(manifest, {}) != first
    (weights / "model.bin").write_bytes(b"another")
    second = await Identities().of(manifest, told)
    assert second not in (None, first), "weights that were replaced"
    (manifest.folder / "run.py").write_text("print()")
    third = await Identities().of(manifest, told)
    assert third not in (None, first, second), "a program that was changed"


async def test_a_program_that_changed_under_a_worker_has_no_identity(tmp_path: Path) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    known = Identities()
    known.good_seconds = 0
    assert await known.of(manifest, {}) is not None
    (manifest.folder / "run.py").write_text("print()")
    assert await known.of(manifest, {}) is None, "a warm one may still be the old"


def test_a_recipe_does_not_depend_on_the_order_of_words(tmp_path: Path) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    files = {"a": [("1" * 64, "image/png")], "b": [("2" * 64, "image/png")]}
    one = recipe_of(manifest, "i", {"x": 1, "y": 2}, files)
    assert one == recipe_of(manifest, "i", {"y": 2, "x": 1}, dict(reversed(files.items())))
    assert one != recipe_of(manifest, "j", {"x": 1, "y": 2}, files)
    assert one != recipe_of(manifest, "i", {"x": 1, "y": 2}, {"a": files["b"], "b": files["a"]})
