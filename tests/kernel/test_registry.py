"""The catalogue tells what can run in the whole deployment."""

from pathlib import Path

from usina.kernel.registry import Registry, load_registry


async def _two(folder: Path) -> Registry:
    for name, command in {"here-v1": "sh", "there-v1": "no-such-program"}.items():
        (folder / name).mkdir()
        (folder / name / "runner.toml").write_text(
            f'name = "{name}"\nversion = "1"\ntask = "t"\ndescription = "d"\nlicense = "MIT"\n'
            f'command = ["{command}"]\n'
        )
    return await load_registry([], [folder])


def _available(registry: Registry) -> dict[str, bool]:
    return {model.name: model.available for model in registry.all()}


async def test_a_model_can_run_if_it_can_here_or_on_any_worker(tmp_path: Path) -> None:
    registry = await _two(tmp_path)
    assert _available(registry) == {"here-v1": True, "there-v1": False}
    registry.learn([{"here-v1": "", "there-v1": "not there"}, {"there-v1": ""}])
    assert _available(registry) == {"here-v1": True, "there-v1": True}
    registry.learn([{"here-v1": "set THIS", "there-v1": "set THAT"}])
    assert _available(registry) == {"here-v1": True, "there-v1": False}
    there = registry.get("there-v1")
    assert there is not None
    assert there.unavailable_reason == "set THAT"


async def test_without_workers_it_tells_what_could_run_here(tmp_path: Path) -> None:
    registry = await _two(tmp_path)
    registry.learn([{"here-v1": "gone", "there-v1": ""}])
    assert registry.served() == {"here-v1"}, "what others can run is not what can run here"
    registry.learn([])
    assert _available(registry) == {"here-v1": True, "there-v1": False}
    assert registry.reasons()["here-v1"] == ""
    assert "no-such-program" in registry.reasons()["there-v1"]
