"""The models that a bed and a simulation name, known by their form and not by their names."""

from collections.abc import Callable

from usina.kernel.errors import Invalid
from usina.kernel.registry import Model, Registry
from usina.kernel.runners.form import suggestion


def chosen(name: str, what: str, registry: Registry, fits: Callable[[Model], bool]) -> Model:
    """The model of that name, told in the field ``what``. Raises ``Invalid`` there:
    ``unknown_model`` where none of those that fit has the name, ``model_unavailable``."""
    model = registry.get(name)
    if model is None or not fits(model):
        known = [each.name for each in registry.all() if fits(each)]
        raise Invalid.at(
            f"/{what}",
            f"There is no {what} named {name!r}.{suggestion(name, known)}",
            code="unknown_model",
        )
    if not model.available:
        reason = model.unavailable_reason or "The model can not run here."
        raise Invalid.at(f"/{what}", reason, code="model_unavailable")
    return model
