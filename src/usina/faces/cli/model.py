"""`usina models`: the catalogue."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from usina.faces.cli.install import install, remove
from usina.faces.cli.output import (
    JsonFlag,
    json_wanted,
    show,
    show_json,
    show_list,
    show_pairs,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usina_client import Model


class _Models(TyperGroup):
    """``usina models NAME`` is ``usina models show NAME``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["show", *args])


app = typer.Typer(cls=_Models, invoke_without_command=True)
app.command()(install)
app.command()(remove)


@app.callback()
def models(context: typer.Context, json: JsonFlag = False) -> None:
    """List the models, show one with all that it takes, install and remove one."""
    if context.invoked_subcommand is not None:
        return
    from usina.faces.cli.platform import find

    with find().client() as client:
        entries = list(client.models.list())
    show_list(
        entries,
        ("MODEL", "VERSION", "TASK", "HERE"),
        lambda entry: (entry.name, entry.version, entry.task, _available(entry)),
    )


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="The model.")], json: JsonFlag = False
) -> None:
    """Show a model with its inputs, parameters, terms and weights; `show` may be left out."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        model = client.models.get(name)
    if json or json_wanted():
        show_json(model.model_dump(mode="json"))
    else:
        _show_model(model)


def _available(model: "Model") -> str:
    if not model.available:
        return f"no: {model.unavailable_reason}"
    return f"jobs wait: {model.waits_because}" if model.waits_because else "yes"


def _show_model(model: "Model") -> None:
    from usina.faces.cli.parameter import described, properties, required

    needed = required(model.input_schema)
    show_pairs(
        [
            ("model", f"{model.name} {model.version}"),
            ("task", model.task),
            ("about", model.description),
            ("license", model.license),
            ("here", _available(model)),
            ("memory", size(model.resources.memory_bytes)),
            ("gpu", _gpu(model)),
            ("timeout", f"{model.timeout_seconds:g} s"),
            *(("terms", each) for each in _terms(model)),
            *(("weights", each) for each in _weights(model)),
        ]
    )
    inputs = properties(model.input_schema)
    if inputs:
        show("", "Inputs:")
        show_pairs([(f"  {each}", "needed" if each in needed else "optional") for each in inputs])
    params = properties(model.params_schema)
    if params:
        show("", "Parameters:")
        show_pairs(
            [
                (f"  {each}", described(schema) + _default(model, each))
                for each, schema in params.items()
            ]
        )


def _gpu(model: "Model") -> str:
    needs = model.resources
    if not needs.gpu:
        return "not needed"
    memory = f" with {size(needs.gpu_memory_bytes)}" if needs.gpu_memory_bytes else ""
    return f"{needs.gpu}{memory}" + (", or none" if needs.cpu else "")


def _terms(model: "Model") -> "Iterator[str]":
    terms = model.terms
    if terms is None:
        return
    if not terms.commercial:
        yield "no commercial use"
    elif terms.revenue_limit_usd is not None:
        yield f"commercial use below {terms.revenue_limit_usd:,} USD of revenue a year"
    if terms.excluded_territories:
        yield f"not valid in {', '.join(terms.excluded_territories)}"
    if terms.gated:
        yield "weights only for those who accept the terms"
    if terms.notice:
        yield f"results say: {terms.notice}"
    if terms.url:
        yield terms.url


def _weights(model: "Model") -> "Iterator[str]":
    for each in model.weights:
        known = f", {size(each.bytes)}" if each.bytes is not None else ""
        known += "" if each.sha256 else ", of no known SHA-256"
        own = f"; {each.setting} names another" if each.setting else ""
        yield f"{each.name} {each.file}".rstrip() + f" from {each.source}{known}{own}"


def _default(model: "Model", param: str) -> str:
    import json

    if param not in model.default_params:
        return ""
    return f" (default {json.dumps(model.default_params[param])})"
