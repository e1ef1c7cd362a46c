"""One reader for the sections ``compute.<name>`` of the worker's settings."""

from collections.abc import Collection, Mapping
from typing import TypeVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.unknown_keys import unknown_keys
from landlord_engines_core.errors import ComputeRefused

__all__ = ["field_names", "read_section"]

T = TypeVar("T")


def read_section(
    engine: str, section: Mapping[str, object], settings_type: type[T], tenant_keys: Collection[str]
) -> tuple[T, dict[str, object]]:
    """Split an engine's section into the operator's settings and the defaults for tenants.

    Args:
        engine: The engine's name.
        section: The section ``compute.<engine>``.
        settings_type: The attrs class of the operator's settings.
        tenant_keys: The keys of a tenant's configuration, which the section may give defaults for.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    operator_keys = field_names(settings_type)
    known = {*operator_keys, *tenant_keys}
    if problems := unknown_keys(section, known, f"compute.{engine}."):
        raise ComputeRefused("; ".join(problems), hint=f"known keys: {', '.join(sorted(known))}")
    try:
        settings = codec.structure(
            {key: value for key, value in section.items() if key in operator_keys}, settings_type
        )
    except codec.BadDocument as error:
        raise ComputeRefused(f"compute.{engine}: {error}") from None
    return settings, {key: value for key, value in section.items() if key not in operator_keys}


def field_names(settings_type: type) -> set[str]:
    """Return the names of an attrs class's fields."""
    return {field.name for field in attrs.fields(settings_type)}
