"""The section ``compute`` out of all its sources: file, environment and flags, laid over each other.

The keys of an engine's section are the engine's own, so that they are not in the settings tree. A
variable names one key of a section, ``COMPUTE_DOCKER_NETWORK_NAME``; a flag may name a key inside any
map too, ``compute.docker.policy.pids_limit``, and a variable one inside maps whose keys are known. A
value that is JSON is read as JSON, all else is text.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.models import merge
from landlord_engines_core.settings.formats import read_json
from landlord_engines_core.settings.json_values import not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.spelling import is_typo

__all__ = ["ComputeSources", "is_compute_flag", "is_compute_variable", "meant_variable"]

_PATH = "compute"
_VARIABLE = "COMPUTE"

_DOCKERS = {
    "host": "DOCKER_HOST",
    "cert_path": "DOCKER_CERT_PATH",
    "tls_verify": "DOCKER_TLS_VERIFY",
}
"""Keys of ``compute.docker``, and what Docker's own clients read, which beats the file as with
Landlord."""

_MAPS: Mapping[str, tuple[str, ...]] = {
    "docker": ("health_check", "policy", "resources"),
    "ecs": ("assume_role",),
    "process": ("health", "ports"),
}
"""Maps of built-in engines whose keys are known, so that a variable can name a key inside one."""


@attrs.frozen
class _Layer:
    """What one source says of compute engines.

    Attributes:
        sections: The engines' sections by name.
        origin: The source.
        problems: What is wrong there, one line each; there are no sections then.
    """

    sections: Mapping[str, Any] = attrs.field(repr=False)
    origin: str
    problems: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ComputeSources:
    """What all sources say of compute engines; a later one goes above an earlier one.

    Attributes:
        file: The file.
        docker: What Docker's own variables say.
        above: The variables of ``compute`` and its keys, then the flags.
        engines: The names of the compute engines that have variables.
    """

    file: _Layer
    docker: _Layer
    above: tuple[_Layer, ...]
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
            engines: The names of compute engines that are installed.
        """
        in_file = _layer(document.get(_PATH), file)
        whole = _whole(environment)
        known = {*engines, *in_file.sections, *whole.sections}
        return cls(
            file=in_file,
            docker=_of_docker(environment),
            above=(whole, *_in_environment(environment, known), *_in_flags(flags)),
            engines=known,
        )

    def problems(self) -> Iterator[str]:
        """Name what is wrong in any source."""
        for layer in (self.file, *self.above):
            yield from layer.problems

    def sections(self, named: Collection[str | None] = ()) -> dict[str, Any]:
        """All sections: maps merge, everything else of a higher source replaces.

        Args:
            named: Engines that the worker has although no source has a section for them.
        """
        return _combined(self._layers(named))

    def origin(self, named: Collection[str | None] = ()) -> str:
        """The names of all sources that say something, or empty."""
        origins = (layer.origin for layer in self._layers(named) if layer.sections)
        return ", ".join(dict.fromkeys(origins))

    def _layers(self, named: Collection[str | None]) -> Iterator[_Layer]:
        yield self.file
        if "docker" in {*named, *_combined((self.file, *self.above))}:
            yield self.docker
        yield from self.above


def is_compute_flag(path: str) -> bool:
    """Whether a flag sets something of ``compute``."""
    return path.partition(".")[0] == _PATH


def is_compute_variable(name: str, engines: Collection[str]) -> bool:
    """Whether a variable sets something of ``compute``."""
    return name == _VARIABLE or bool(_path(name, engines))


def meant_variable(name: str, engines: Collection[str]) -> str:
    """The variable of a key that is meant, where an engine's name or the first word has a typo."""
    first, *words = name.split("_")
    for engine in engines:
        of_engine = _capitals(engine)
        count = of_engine.count("_") + 1
        given, key = "_".join(words[:count]), "_".join(words[count:])
        fits = (first == _VARIABLE and is_typo(given, of_engine)) or (
            is_typo(first, _VARIABLE) and given == of_engine
        )
        if key and fits:
            return f"{_VARIABLE}_{of_engine}_{key}"
    return ""


def _combined(layers: Iterable[_Layer]) -> dict[str, Any]:
    combined: dict[str, Any] = {}
    for layer in layers:
        combined = merge(combined, layer.sections)
    return combined


def _of_docker(environment: Mapping[str, str]) -> _Layer:
    set_here = {key: name for key, name in _DOCKERS.items() if environment.get(name)}
    section: dict[str, Any] = {key: environment[name] for key, name in set_here.items()}
    if "tls_verify" in section:
        # Docker's own clients take any text for a yes.
        section["tls_verify"] = True
    origin = ", ".join(f"${name}" for name in set_here.values())
    return _Layer({"docker": section} if section else {}, origin)


def _whole(environment: Mapping[str, str]) -> _Layer:
    """The variable that holds all sections as JSON."""
    origin = f"${_VARIABLE}"
    text = environment.get(_VARIABLE, "")
    return _read([], text, origin) if text else _Layer({}, origin)


def _in_environment(environment: Mapping[str, str], engines: Collection[str]) -> Iterator[_Layer]:
    for name in sorted(environment):
        path = _path(name, engines)
        if path and environment[name] and not is_service_variable(name, environment):
            yield _read(path, environment[name], f"${name}")


def _in_flags(flags: Mapping[str, str]) -> Iterator[_Layer]:
    for path, value in flags.items():
        if is_compute_flag(path):
            yield _read(path.split(".")[1:], value, "flag")


def _path(name: str, engines: Collection[str]) -> list[str]:
    """The path of what a variable names: of two engines that fit, that of the longer name."""
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
    """Put a value that was written as text below its path."""
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
        return json.loads(text, parse_constant=_no_json)
    except ValueError:
        return text


def _no_json(_: str) -> NoReturn:
    raise ValueError


def _layer(sections: Any, origin: str) -> _Layer:
    if sections is None:
        return _Layer({}, origin)
    if problems := [f"{line} ({origin})" for line in _problems(sections)]:
        return _Layer({}, origin, tuple(problems))
    # A section without keys is written as nothing at all in YAML.
    return _Layer({name: below or {} for name, below in sections.items()}, origin)


def _problems(sections: Any) -> Iterator[str]:
    if not isinstance(sections, Mapping):
        yield f"{_PATH} must be a map of maps"
        return
    for name, section in sections.items():
        if section is not None and not isinstance(section, Mapping):
            yield f"{_PATH}.{name} must be a map"
    yield from not_json(sections, _PATH)
