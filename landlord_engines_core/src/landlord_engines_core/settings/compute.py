"""The section ``compute``, merged from file, environment and flags.

A compute engine defines the keys of its section, so that they are not in the settings tree. A variable
names one key, such as ``COMPUTE_DOCKER_NETWORK_NAME``. A flag may also name a key inside a map, such as
``compute.docker.policy.pids_limit``. So may a variable, for maps whose keys are known. JSON values are
read as JSON, all others as text.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.models import merge
from landlord_engines_core.settings.formats import read_json
from landlord_engines_core.settings.json_values import find_not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.spelling import is_typo

__all__ = ["ComputeSources", "find_variable", "is_compute_flag", "is_compute_variable"]

_PATH = "compute"
_VARIABLE = "COMPUTE"

_DOCKER_VARIABLES = {
    "host": "DOCKER_HOST",
    "cert_path": "DOCKER_CERT_PATH",
    "tls_verify": "DOCKER_TLS_VERIFY",
}
"""Keys of ``compute.docker`` and the variables of Docker's clients.

The variables override the file, as in Landlord.
"""

_MAPS: Mapping[str, tuple[str, ...]] = {
    "docker": ("health_check", "policy", "resources"),
    "ecs": ("assume_role",),
    "process": ("health", "ports"),
}
"""Maps of built-in engines with known keys, so that a variable can name a key inside one."""


@attrs.frozen
class _Layer:
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
        docker: Docker's variables.
        overrides: The variables of ``compute`` and its keys, then the flags.
        engines: The names of the compute engines that have variables.
    """

    file: _Layer
    docker: _Layer
    overrides: tuple[_Layer, ...]
    engines: Collection[str]

    @classmethod
    def gather(
        cls,
        document: Mapping[str, Any],
        file: str,
        environment: Mapping[str, str],
        flags: Mapping[str, str],
        engines: Collection[str],
    ) -> "ComputeSources":
        """Read all sources.

        Args:
            document: The file's content.
            file: The file's name.
            environment: The environment's variables.
            flags: Values of flags by path.
            engines: The names of the installed compute engines.
        """
        in_file = _layer(document.get(_PATH), file)
        whole = _read_whole(environment)
        known = {*engines, *in_file.sections, *whole.sections}
        return cls(
            file=in_file,
            docker=_read_docker(environment),
            overrides=(whole, *_read_environment(environment, known), *_read_flags(flags)),
            engines=known,
        )

    def problems(self) -> Iterator[str]:
        """List the errors of all sources."""
        for layer in (self.file, *self.overrides):
            yield from layer.problems

    def sections(self, named: Collection[str | None] = ()) -> dict[str, Any]:
        """Merge all sections: maps merge, every other value of a higher source replaces.

        Args:
            named: Engines of the worker that may have no section in any source.
        """
        return _merge_layers(self._layers(named))

    def origin(self, named: Collection[str | None] = ()) -> str:
        """Name all sources that have sections, or empty."""
        origins = (layer.origin for layer in self._layers(named) if layer.sections)
        return ", ".join(dict.fromkeys(origins))

    def _layers(self, named: Collection[str | None]) -> Iterator[_Layer]:
        yield self.file
        # Docker's variables alone do not give the worker a docker engine.
        if "docker" in {*named, *_merge_layers((self.file, *self.overrides))}:
            yield self.docker
        yield from self.overrides


def is_compute_flag(path: str) -> bool:
    """Whether a flag sets a value in ``compute``."""
    return path.partition(".")[0] == _PATH


def is_compute_variable(name: str, engines: Collection[str]) -> bool:
    """Whether a variable sets a value in ``compute``."""
    return name == _VARIABLE or bool(_path(name, engines))


def find_variable(name: str, engines: Collection[str]) -> str:
    """Find the variable for a name with a typo in the engine's name or the first word, or empty."""
    first, *words = name.split("_")
    for engine in engines:
        engine_words = _capitals(engine)
        count = engine_words.count("_") + 1
        given, key = "_".join(words[:count]), "_".join(words[count:])
        fits = (first == _VARIABLE and is_typo(given, engine_words)) or (
            is_typo(first, _VARIABLE) and given == engine_words
        )
        if key and fits:
            return f"{_VARIABLE}_{engine_words}_{key}"
    return ""


def _merge_layers(layers: Iterable[_Layer]) -> dict[str, Any]:
    combined: dict[str, Any] = {}
    for layer in layers:
        combined = merge(combined, layer.sections)
    return combined


def _read_docker(environment: Mapping[str, str]) -> _Layer:
    variables = {key: name for key, name in _DOCKER_VARIABLES.items() if environment.get(name)}
    section: dict[str, Any] = {key: environment[name] for key, name in variables.items()}
    if "tls_verify" in section:
        # Docker's clients read any text as yes.
        section["tls_verify"] = True
    origin = ", ".join(f"${name}" for name in variables.values())
    return _Layer({"docker": section} if section else {}, origin)


def _read_whole(environment: Mapping[str, str]) -> _Layer:
    """Read the variable that contains all sections as JSON."""
    origin = f"${_VARIABLE}"
    text = environment.get(_VARIABLE, "")
    return _read([], text, origin) if text else _Layer({}, origin)


def _read_environment(environment: Mapping[str, str], engines: Collection[str]) -> Iterator[_Layer]:
    for name in sorted(environment):
        path = _path(name, engines)
        if path and environment[name] and not is_service_variable(name, environment):
            yield _read(path, environment[name], f"${name}")


def _read_flags(flags: Mapping[str, str]) -> Iterator[_Layer]:
    for path, value in flags.items():
        if is_compute_flag(path):
            yield _read(path.split(".")[1:], value, "flag")


def _path(name: str, engines: Collection[str]) -> list[str]:
    """Find the path that a variable sets; the engine with the longer name goes first."""
    for engine in sorted(engines, key=len, reverse=True):
        prefix = f"{_VARIABLE}_{_capitals(engine)}"
        if name == prefix:
            return [engine]
        if name.startswith(f"{prefix}_"):
            return [engine, *_key(engine, name.removeprefix(f"{prefix}_").lower())]
    return []


def _key(engine: str, name: str) -> list[str]:
    for key in _MAPS.get(engine, ()):
        if name.startswith(f"{key}_"):
            return [key, name.removeprefix(f"{key}_")]
    return [name]


def _capitals(engine: str) -> str:
    return engine.replace("-", "_").upper()


def _read(path: list[str], text: str, origin: str) -> _Layer:
    """Put a value in the form of text below its path."""
    try:
        value = _value(text, origin) if path else read_json(text, origin)
    except SettingsError as error:
        return _Layer({}, origin, (error.message,))
    except (RecursionError, ValueError):
        return _Layer({}, origin, (f"{'.'.join([_PATH, *path])} cannot be read ({origin})",))
    for key in reversed(path):
        value = {key: value}
    return _layer(value, origin)


def _value(text: str, origin: str) -> Any:
    if text.lstrip().startswith(("{", "[")):
        return read_json(text, origin)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _layer(sections: Any, origin: str) -> _Layer:
    if sections is None:
        return _Layer({}, origin)
    if problems := [f"{line} ({origin})" for line in _problems(sections)]:
        return _Layer({}, origin, tuple(problems))
    # In YAML, a section without keys is written as nothing, which reads as None.
    return _Layer({name: section or {} for name, section in sections.items()}, origin)


def _problems(sections: Any) -> Iterator[str]:
    if not isinstance(sections, Mapping):
        yield f"{_PATH} must be a map of maps"
        return
    for name, section in sections.items():
        if section is not None and not isinstance(section, Mapping):
            yield f"{_PATH}.{name} must be a map"
    yield from find_not_json(sections, _PATH)
