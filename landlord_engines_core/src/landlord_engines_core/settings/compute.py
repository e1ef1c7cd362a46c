"""The section ``compute`` from file, environment and flags, before its values have types.

A compute engine defines the keys of its section, so that they are not in the settings tree. A variable
names one key, such as ``COMPUTE_DOCKER_NETWORK_NAME``. A flag may also name a key inside a map, such as
``compute.docker.policy.pids_limit``. So may a variable, for maps whose keys are known. A value of an
operator's setting has the setting's type. Of the other values, JSON is read as JSON and all else as text.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NoReturn, get_origin

import attrs
from typed_settings.cls_utils import deep_options
from typed_settings.types import OptionInfo

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.formats import read_json
from landlord_engines_core.settings.json_values import find_not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.settings.values import Value, more_variables
from landlord_engines_core.spelling import is_typo

__all__ = [
    "ComputeLayer",
    "ComputeOptions",
    "ComputeSources",
    "capitals",
    "find_variable",
    "is_compute_flag",
    "is_compute_variable",
]

ComputeOptions = Mapping[str, Mapping[str, OptionInfo]]
"""The operator's settings of each compute engine, by their paths in the engine's section."""

_PATH = "compute"
_VARIABLE = "COMPUTE"

_MAPS: Mapping[str, tuple[str, ...]] = {
    "docker": ("health_check", "resources"),
    "ecs": ("assume_role",),
    "process": ("health",),
}
"""Maps with known keys in tenants' configurations, so that a variable can name a key inside one."""


@attrs.frozen
class ComputeLayer:
    """Sections from one source.

    Attributes:
        sections: The engines' sections by name; none if there are problems.
        origin: The source.
        problems: The errors in this source, one line each.
    """

    sections: Mapping[str, Any] = attrs.field(repr=False)
    origin: str
    problems: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ComputeSources:
    """Sections from all sources. A later source overrides an earlier one.

    Attributes:
        file: The file.
        environment: The environment's variables, for an engine that reads more of them.
        overrides: The variables of ``compute`` and its keys, then the flags.
        engines: The names of the compute engines that have variables.
        types: The classes of the operator's settings, of the engines that are known.
        options: The settings in these classes.
    """

    file: ComputeLayer
    environment: Mapping[str, str] = attrs.field(repr=False)
    overrides: tuple[ComputeLayer, ...]
    engines: Collection[str]
    types: Mapping[str, type]
    options: ComputeOptions

    @classmethod
    def gather(
        cls,
        document: Mapping[str, Any],
        file: str,
        environment: Mapping[str, str],
        flags: Mapping[str, str],
        engines: Collection[str],
        *,
        types: Mapping[str, type],
    ) -> "ComputeSources":
        """Read all sources.

        Args:
            document: The file's content.
            file: The file's name.
            environment: The environment's variables.
            flags: Values of flags by path.
            engines: The names of the installed compute engines.
            types: The classes of the operator's settings, of the engines that are known.
        """
        options = {
            name: {option.path: option for option in deep_options(settings_type)}
            for name, settings_type in types.items()
        }
        in_file = _layer(document.get(_PATH), file)
        whole = _read_whole(environment)
        known = {*engines, *in_file.sections, *whole.sections}
        return cls(
            file=in_file,
            environment=environment,
            overrides=(
                whole,
                *_read_environment(environment, known, options),
                *_read_flags(flags, options),
            ),
            engines=known,
            types=types,
            options=options,
        )

    def problems(self) -> Iterator[str]:
        """List the errors of all sources."""
        for layer in (self.file, *self.overrides):
            yield from layer.problems

    def names(self) -> set[str]:
        """Name the engines that have a section in any source."""
        return {name for layer in (self.file, *self.overrides) for name in layer.sections}

    def layers(self, engine: str) -> Iterator[ComputeLayer]:
        """Yield the sources of one engine's section, the lowest first.

        An engine's additional variables override the file, and the worker's own variables override them.
        """
        yield self.file
        for path, option in self.options.get(engine, {}).items():
            if (setting := _read_more(option, self.environment)) is not None:
                yield _nest([engine, *path.split(".")], setting.value, setting.origin)
        yield from self.overrides


def is_compute_flag(path: str) -> bool:
    """Whether a flag sets a value in ``compute``."""
    return path.partition(".")[0] == _PATH


def is_compute_variable(name: str, engines: Collection[str]) -> bool:
    """Whether a variable sets a value in ``compute``."""
    return name == _VARIABLE or bool(_path(name, engines, {}))


def find_variable(name: str, engines: Collection[str]) -> str:
    """Find the variable for a name with a typo in the engine's name or the first word, or empty."""
    first, *words = name.split("_")
    for engine in engines:
        engine_words = capitals(engine)
        count = engine_words.count("_") + 1
        given, key = "_".join(words[:count]), "_".join(words[count:])
        fits = (first == _VARIABLE and is_typo(given, engine_words)) or (
            is_typo(first, _VARIABLE) and given == engine_words
        )
        if key and fits:
            return f"{_VARIABLE}_{engine_words}_{key}"
    return ""


def _read_whole(environment: Mapping[str, str]) -> ComputeLayer:
    """Read the variable that contains all sections as JSON."""
    origin = f"${_VARIABLE}"
    text = environment.get(_VARIABLE, "")
    return _read([], text, origin, {}) if text else ComputeLayer({}, origin)


def _read_environment(
    environment: Mapping[str, str], engines: Collection[str], options: ComputeOptions
) -> Iterator[ComputeLayer]:
    for name in sorted(environment):
        path = _path(name, engines, options)
        if path and environment[name] and not is_service_variable(name, environment):
            yield _read(path, environment[name], f"${name}", options)


def _read_flags(flags: Mapping[str, str], options: ComputeOptions) -> Iterator[ComputeLayer]:
    for path, value in flags.items():
        if is_compute_flag(path):
            yield _read(path.split(".")[1:], value, "flag", options)


def _read_more(option: OptionInfo, environment: Mapping[str, str]) -> Value | None:
    """Read the first of a setting's additional variables that is set."""
    for name, template in more_variables(option).items():
        value = environment.get(name)
        if value and not is_service_variable(name, environment, is_setting=True):
            return Value(template.format(value), f"${name}")
    return None


def _path(name: str, engines: Collection[str], options: ComputeOptions) -> list[str]:
    """Find the path that a variable sets; the engine with the longer name goes first."""
    for engine in sorted(engines, key=len, reverse=True):
        prefix = f"{_VARIABLE}_{capitals(engine)}"
        if name == prefix:
            return [engine]
        if name.startswith(f"{prefix}_"):
            key = name.removeprefix(f"{prefix}_").lower()
            return [engine, *_key(key, options.get(engine, {}), _MAPS.get(engine, ()))]
    return []


def _key(name: str, paths: Collection[str], maps: Iterable[str]) -> list[str]:
    for path in paths:
        if name == path.replace(".", "_"):
            return path.split(".")
    nested = {path.partition(".")[0] for path in paths if "." in path}
    for key in sorted({*maps, *nested}):
        if name.startswith(f"{key}_"):
            return [key, name.removeprefix(f"{key}_")]
    return [name]


def capitals(engine: str) -> str:
    """Write an engine's name as its variables do."""
    return engine.replace("-", "_").upper()


def _read(path: list[str], text: str, origin: str, options: ComputeOptions) -> ComputeLayer:
    """Put a value in the form of text below its path."""
    is_text = _is_text(path, options)
    try:
        value = _value(text, origin, is_text=is_text) if path else read_json(text, origin)
    except SettingsError as error:
        return ComputeLayer({}, origin, (error.message,))
    except (RecursionError, ValueError):
        return ComputeLayer({}, origin, (f"{'.'.join([_PATH, *path])} cannot be read ({origin})",))
    return _nest(path, value, origin)


def _nest(path: list[str], value: Any, origin: str) -> ComputeLayer:
    for key in reversed(path):
        value = {key: value}
    return _layer(value, origin)


def _is_text(path: list[str], options: ComputeOptions) -> bool:
    """Return whether a path names a setting of one value: its type reads the text."""
    option = options.get(path[0], {}).get(".".join(path[1:])) if path else None
    return option is not None and get_origin(option.cls) not in (dict, list, tuple)


def _value(text: str, origin: str, *, is_text: bool) -> Any:
    if text.lstrip().startswith(("{", "[")) and not is_text:
        return read_json(text, origin)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text
    # The number 1e3 in a password is text; "5" in quotation marks is the text without them.
    return text if is_text and not isinstance(value, str) else value


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _layer(sections: Any, origin: str) -> ComputeLayer:
    if sections is None:
        return ComputeLayer({}, origin)
    if problems := [f"{line} ({origin})" for line in _problems(sections)]:
        return ComputeLayer({}, origin, tuple(problems))
    # In YAML, a section without keys is written as nothing, which reads as None.
    return ComputeLayer({name: section or {} for name, section in sections.items()}, origin)


def _problems(sections: Any) -> Iterator[str]:
    if not isinstance(sections, Mapping):
        yield f"{_PATH} must be a map of maps"
        return
    for name, section in sections.items():
        if section is not None and not isinstance(section, Mapping):
            yield f"{_PATH}.{name} must be a map"
    yield from find_not_json(sections, _PATH)
