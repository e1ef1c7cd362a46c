"""The section of one compute engine: the operator's settings with their types, and the other keys.

The other keys are the operator's defaults for tenants' configurations. Only the engine knows them, so
that the host checks them with the engine's schema.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from typed_settings.exceptions import InvalidSettingsError
from typed_settings.types import OptionInfo

from landlord_engines_core.models import merge
from landlord_engines_core.settings.compute import ComputeSources, capitals
from landlord_engines_core.settings.tree import ComputeSection
from landlord_engines_core.settings.types import is_duration
from landlord_engines_core.settings.unknown_keys import look_up, report_unknown
from landlord_engines_core.settings.values import Value, build, check_value, list_values
from landlord_engines_core.spelling import find_similar

__all__ = ["MASKED", "ReadSection", "read_section"]

MASKED = "***"
"""Shown in place of a default for tenants: it may contain secrets under any key."""


@attrs.frozen(kw_only=True)
class ReadSection:
    """Section of one compute engine, with the origin of each value.

    Attributes:
        section: The section; without settings if there are problems.
        origins: The origin of each value, by path.
        values: The values by path, secrets masked.
        durations: The paths whose values are seconds.
        problems: The errors, one line each.
    """

    section: ComputeSection
    origins: Mapping[str, str] = attrs.field(factory=dict)
    values: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    durations: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


def read_section(name: str, sources: ComputeSources, default_origin: str) -> ReadSection:
    """Read the section of one compute engine from all sources.

    Args:
        name: The engine's name.
        sources: The sources, with the engine's settings if they are known.
        default_origin: The origin of a value that no source sets.
    """
    options = sources.options.get(name, {})
    layers = [
        Value(layer.sections[name], layer.origin)
        for layer in sources.layers(name)
        if name in layer.sections
    ]
    given = dict(_find_settings(options, layers))
    defaults = dict(_find_defaults(options, layers))
    section = ComputeSection(
        settings=None, defaults={key: default.value for key, default in defaults.items()}
    )
    problems = [*_find_mistakes(name, options, layers), *_check(name, options, given, defaults)]
    if problems:
        return ReadSection(section=section, problems=tuple(problems))
    if (settings_type := sources.types.get(name)) is not None:
        try:
            section = attrs.evolve(section, settings=build(settings_type, given))
        except InvalidSettingsError:
            # Each value was valid alone. The error and its traceback may contain values.
            problem = f"the checks of compute engine {name} refuse compute.{name}"
            return ReadSection(section=section, problems=(problem,))
    prefix = f"compute.{name}."
    values = {**dict(list_values(section.settings, options)), **dict.fromkeys(defaults, MASKED)}
    known = {**given, **defaults}
    return ReadSection(
        section=section,
        values={f"{prefix}{path}": value for path, value in values.items()},
        origins={
            f"{prefix}{path}": known[path].origin if path in known else default_origin
            for path in values
        },
        durations=frozenset(
            f"{prefix}{path}" for path, option in options.items() if is_duration(option.cls)
        ),
    )


def _find_settings(paths: Iterable[str], layers: list[Value]) -> Iterator[tuple[str, Value]]:
    """Find the operator's settings. Landlord's files list every key, and leave one that is not set empty."""
    for path in paths:
        setting_values = (Value(look_up(layer.value, path), layer.origin) for layer in layers)
        values = [value for value in setting_values if value.value not in (None, "")]
        if values:
            yield path, _combine(values)


def _find_defaults(paths: Iterable[str], layers: list[Value]) -> Iterator[tuple[str, Value]]:
    """Find the keys that belong to no setting, as they are."""
    settings = {path.partition(".")[0] for path in paths}
    keys = dict.fromkeys(key for layer in layers for key in layer.value)
    for key in keys:
        if key.replace("-", "_") not in settings:
            yield (
                key,
                _combine(
                    [
                        Value(layer.value[key], layer.origin)
                        for layer in layers
                        if key in layer.value
                    ]
                ),
            )


def _combine(values: list[Value]) -> Value:
    """Combine the values of a key, the lowest source first: maps merge, every other value replaces."""
    combined, origins = values[0].value, [values[0].origin]
    for value in values[1:]:
        if isinstance(combined, Mapping) and isinstance(value.value, Mapping):
            combined = merge(combined, value.value)
            origins.append(value.origin)
        else:
            combined, origins = value.value, [value.origin]
    return Value(combined, ", ".join(dict.fromkeys(origins)))


def _find_mistakes(
    name: str, options: Mapping[str, OptionInfo], layers: list[Value]
) -> Iterator[str]:
    """Report unknown keys in maps of settings, maps that are none, and keys that are written twice."""
    for layer in layers:
        settings = {path.partition(".")[0] for path in options}
        own = {key: None for key in layer.value if key.replace("-", "_") in settings}
        yield from report_unknown(own, f"compute.{name}.", settings, layer.origin, only_near=False)
        for parent in dict.fromkeys(path.rpartition(".")[0] for path in options if "." in path):
            content: Any = look_up(layer.value, parent)
            if content not in (None, "") and not isinstance(content, Mapping):
                yield f"compute.{name}.{parent} must be a map ({layer.origin})"
            children = {
                path.removeprefix(f"{parent}.").partition(".")[0]
                for path in options
                if path.startswith(f"{parent}.")
            }
            yield from report_unknown(
                content, f"compute.{name}.{parent}.", children, layer.origin, only_near=False
            )


def _check(
    name: str,
    options: Mapping[str, OptionInfo],
    given: Mapping[str, Value],
    defaults: Mapping[str, Value],
) -> Iterator[str]:
    """Check each value separately, so that one error reports all bad settings."""
    for path, option in options.items():
        whole = f"compute.{name}.{path}"
        if path in given:
            yield from check_value(option, whole, given[path])
        elif option.has_no_default and (typo := find_similar(path, defaults)):
            yield f"compute.{name}.{typo} is unknown; did you mean {whole}? ({defaults[typo].origin})"
        elif option.has_no_default:
            variable = f"COMPUTE_{capitals(name)}_{path.upper().replace('.', '_')}"
            yield f"{whole} is missing: set it in the file, or as ${variable}"
