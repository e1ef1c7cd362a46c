"""The settings of an engine under test, loaded as the host loads them."""

from collections.abc import Mapping
from typing import Any, get_args

import attrs

from landlord_engines_core.engine import EngineFactory
from landlord_engines_core.settings import Secret, Sources
from landlord_engines_core.settings.tree import attribute

__all__ = ["load_settings", "secret_keys"]


def load_settings(
    factory: EngineFactory, settings: Mapping[str, str], *, complete: bool = True
) -> Any:
    """Load the engine's section from texts by key.

    Args:
        factory: The engine's factory.
        settings: The settings.
        complete: Whether settings have to fit together. A local backend adds some, as in `dev`.

    Raises:
        SettingsError: A setting is wrong, or settings do not fit together.
    """
    name = factory.info.name
    section = f"workflow.{attribute(name)}"
    flags = {f"{section}.{key}": value for key, value in settings.items()}
    sources = Sources(document={}, file="", environment={}, flags=flags)
    loaded = sources.load(name, factory.settings_type)
    if complete:
        loaded.check()
    return loaded.settings.engine


def secret_keys(factory: EngineFactory) -> list[str]:
    """List the keys of the settings that hold secrets."""
    fields = attrs.fields(attrs.resolve_types(factory.settings_type))
    return [field.name for field in fields if Secret in (field.type, *get_args(field.type))]
