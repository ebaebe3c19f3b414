"""A model whose terms the operator can not accept is listed, says why, and does nothing."""

from pathlib import Path

import pytest

from usina.catalogue import policy_of
from usina.kernel.errors import Invalid
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.validation import Limits, check
from usina.kernel.registry import Registry, load_registry
from usina.settings import Settings

TERMS = {
    "free-v1": "",
    "study-v1": "[terms]\ncommercial = false\nurl = 'https://example.org/study'\n",
    "abroad-v1": "[terms]\nexcluded_territories = ['EU', 'KR']\n",
    "small-v1": "[terms]\nrevenue_limit_usd = 1_000_000\nnotice = 'Powered by Small'\n",
}


async def catalogue(folder: Path, **said: object) -> Registry:
    for name, terms in TERMS.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "runner.toml").write_text(
            f'name = "{name}"\nversion = "1"\ntask = "t"\ndescription = "d"\n'
            f'license = "Its own"\ncommand = ["sh"]\n{terms}'
        )
    settings = Settings(_env_file=None, **said)  # pyright: ignore[reportArgumentType]
    return await load_registry([], [folder], policy=policy_of(settings))


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({}, {"study-v1": "USINA_USE=research"}),
        ({"use": "research"}, {}),
        ({"accept_terms": "study-v1"}, {}),
        ({"use": "research", "territories": "BR, PT"}, {"abroad-v1": "not valid in EU"}),
        ({"use": "research", "territories": "KR"}, {"abroad-v1": "USINA_TERRITORIES"}),
        ({"use": "research", "territories": "BR,US"}, {}),
        ({"accept_terms": "study-v1", "revenue_usd": 999_999}, {}),
        (
            {"accept_terms": "study-v1", "revenue_usd": 1_000_000},
            {"small-v1": "USINA_REVENUE_USD is 1,000,000"},
        ),
        ({"use": "research", "revenue_usd": 5_000_000}, {}),
    ],
)
async def test_terms_are_held_against_what_the_operator_says(
    tmp_path: Path, said: dict[str, object], refused: dict[str, str]
) -> None:
    registry = await catalogue(tmp_path, **said)
    registry.learn([dict.fromkeys(TERMS, "")])  # a worker elsewhere could run all of them

    assert {model.name for model in registry.all()} == TERMS.keys(), "all stay listed"
    assert {model.name for model in registry.all() if not model.available} == refused.keys()
    for name, why in refused.items():
        model = registry.get(name)
        assert model is not None
        assert why in (model.unavailable_reason or "")
        assert f"add {name} to USINA_ACCEPT_TERMS" in (model.unavailable_reason or "")
        with pytest.raises(Invalid) as told:
            check(JobRequest(name), registry, Limits(60))
        assert told.value.code == "model_unavailable"
    for name in TERMS.keys() - refused.keys():
        assert check(JobRequest(name), registry, Limits(60)).model.name == name
