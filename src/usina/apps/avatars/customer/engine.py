"""The model that makes the avatars: the first that can run, of those that the setting names."""

from usina.kernel.platform import Platform


def engine_of(platform: Platform) -> str:
    """Where none can run the first, whose refusal says why."""
    named = platform.settings.avatar_engine
    models = (platform.registry.get(name) for name in named)
    return next((model.name for model in models if model and model.available), named[0])
