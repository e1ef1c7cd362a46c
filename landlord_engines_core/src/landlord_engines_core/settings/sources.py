"""Reading settings from a file, the environment and flags, each value with its origin.

A variable's name is the path in capitals, as in Landlord: ``worker.drain_timeout`` is
``WORKER_DRAIN_TIMEOUT``. A field of an engine's section may name more variables in its metadata, such as
``{"environment": {"PORT": ":{}"}}``. The first variable that is set counts, and its template is applied.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
from typed_settings.cls_utils import deep_options
from typed_settings.exceptions import InvalidSettingsError
from typed_settings.types import OptionInfo

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.compute import ComputeSources, is_compute_flag
from landlord_engines_core.settings.compute_sections import ReadSection, read_section
from landlord_engines_core.settings.files import find_file, read_file
from landlord_engines_core.settings.formats import read_json, read_yaml
from landlord_engines_core.settings.json_values import find_not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.settings.tree import (
    DEFAULT_CACHE_TTL,
    Settings,
    WorkerSettings,
    attribute,
    check_section,
    tree_for,
)
from landlord_engines_core.settings.types import is_duration
from landlord_engines_core.settings.unknown_keys import (
    UNUSED,
    find_unused,
    list_non_maps,
    look_up,
    misspelt_variables,
    unknown_flags,
    unknown_keys,
    variable,
)
from landlord_engines_core.settings.values import (
    Value,
    build,
    check_value,
    list_values,
    more_variables,
)

__all__ = ["Loaded", "Sources"]

T = TypeVar("T")

DEFAULT = "default"
"""Origin of a value that no source sets."""

_FILLED_BY_ENGINE = {
    "landlord_api_url": "worker_landlord_api_url",
    "compute_provider": "worker_compute_provider",
    "compute_cache_ttl": "worker_compute_cache_ttl",
}
"""Keys of ``worker``, and Landlord's keys in an engine's section that fill them."""


def _no_type(_: str) -> None:
    """Know no compute engine."""


@attrs.frozen(kw_only=True)
class Loaded:
    """Settings with the origin of each value.

    Attributes:
        settings: The settings.
        origins: The origin of each value, by path.
        values: The values by path, secrets masked.
        durations: The paths whose values are seconds.
        unused: Settings of Landlord's examples that are set although no worker reads them.
    """

    settings: Settings
    origins: Mapping[str, str]
    values: Mapping[str, object] = attrs.field(repr=False)
    durations: frozenset[str] = frozenset()
    unused: tuple[str, ...] = ()

    def check(self) -> None:
        """Call the ``check`` of each engine's settings, if their class has one.

        Raises:
            SettingsError: Settings do not fit together.
        """
        check_section(self.settings.engine)
        for section in self.settings.compute.values():
            check_section(section.settings)


@attrs.frozen(kw_only=True)
class Sources:
    """Sources of settings, before the engine is chosen.

    Attributes:
        document: The file's content.
        file: The file's path; empty without a file.
        environment: The environment's variables.
        flags: Values of flags by path.
        compute_engines: The names of the installed compute engines, for variables such as
            ``COMPUTE_DOCKER_HOST``. Engines in the file have variables too.
        compute_type: Finds the class of a compute engine's settings by the engine's name, or
            ``None``. It is asked for the worker's engines only, since it may import them.
    """

    document: Mapping[str, Any] = attrs.field(repr=False)
    file: str
    environment: Mapping[str, str] = attrs.field(repr=False)
    flags: Mapping[str, str] = attrs.field(repr=False)
    compute_engines: Collection[str] = ()
    compute_type: Callable[[str], type | None] = _no_type

    @classmethod
    def gather(
        cls,
        config: Path | None,
        environment: Mapping[str, str],
        flags: Mapping[str, str],
        compute_engines: Collection[str] = (),
        compute_type: Callable[[str], type | None] = _no_type,
    ) -> "Sources":
        """Find and read the file.

        Args:
            config: The named file; ``None`` for the paths that Landlord searches.
            environment: The environment's variables.
            flags: Values of flags by path.
            compute_engines: The names of installed compute engines.
            compute_type: Finds the class of a compute engine's settings, or ``None``.

        Raises:
            SettingsError: The named file is missing, or a file cannot be read.
        """
        path = find_file(config, environment)
        document = _read(path) if path is not None else {}
        return cls(
            document=document,
            file=str(path or ""),
            environment=environment,
            flags=flags,
            compute_engines=compute_engines,
            compute_type=compute_type,
        )

    def default_engine(self) -> str:
        """Read the worker engine in ``workflow.default_provider``, or empty.

        Raises:
            SettingsError: No source sets it, but a variable has a similar name.
        """
        section = self.document.get("workflow")
        in_file = section.get("default_provider", "") if isinstance(section, Mapping) else ""
        name = variable("workflow.default_provider")
        named = self.flags.get("workflow.default_provider") or self.environment.get(name) or in_file
        if not named and (misspelt := list(misspelt_variables(self.environment, {name}, "", ()))):
            raise SettingsError("; ".join(misspelt), hint="correct the variable's name")
        return str(named)

    def load(self, engine: str, settings_type: type) -> Loaded:
        """Load the settings for one worker engine.

        Raises:
            SettingsError: Settings are wrong; the message names all with path and origin.
        """
        tree = tree_for(engine, settings_type)
        options = {option.path: option for option in deep_options(tree)}
        # Later sources override earlier ones.
        values = {
            **self._read_file(options),
            **self._read_environment(options),
            **self._read_flags(),
        }
        named = _named_compute(options, values, attribute(engine))
        sources = self._gather_compute(named)
        compute = {
            name: read_section(name, sources, DEFAULT) for name in sorted(named | sources.names())
        }
        problems = [
            *sources.problems(),
            *self._find_mistakes(options, engine, sources.engines),
            *_check(options, values),
            *(problem for section in compute.values() for problem in section.problems),
        ]
        if problems:
            raise SettingsError("; ".join(problems), hint="correct each setting in its source")
        loaded = _build(tree, values, engine)
        origins = {path: values[path].origin if path in values else DEFAULT for path in options}
        finished = _finish(loaded, engine, origins, compute)
        durations = {path for path, option in options.items() if is_duration(option.cls)}
        return attrs.evolve(
            finished,
            durations=finished.durations | durations,
            unused=find_unused(self.document, self.environment),
        )

    def has_compute(self) -> bool:
        """Whether any source has a section of a compute engine."""
        return bool(self._gather({}).names())

    def _gather_compute(self, named: Collection[str]) -> ComputeSources:
        """Gather the sections; the worker's engines may have none in any source."""
        # The names come first: a variable's path depends on the class of its engine's settings.
        names = {*named, *self._gather({}).names()}
        types = {name: self.compute_type(name) for name in names}
        return self._gather({name: kind for name, kind in types.items() if kind is not None})

    def _gather(self, types: Mapping[str, type]) -> ComputeSources:
        return ComputeSources.gather(
            self.document,
            self.file,
            self.environment,
            self.flags,
            self.compute_engines,
            types=types,
        )

    def _find_mistakes(
        self, options: Mapping[str, OptionInfo], engine: str, compute_engines: Collection[str]
    ) -> Iterator[str]:
        """Report values of a wrong form, and unknown names that are similar to a setting's."""
        name = attribute(engine)
        yield from list_non_maps(self.document, name, self.file)
        for section in ("log", "worker", f"workflow.{name}"):
            for line in find_not_json(look_up(self.document, section), section):
                yield f"{line} ({self.file})"
        yield from unknown_keys(self.document, options, name, self.file)
        known = {each for option in options.values() for each in _variables(option)}
        known |= {"LANDLORD_CONFIG", "COMPUTE", *(variable(path) for path in UNUSED)}
        yield from misspelt_variables(self.environment, known, name, compute_engines)
        yield from unknown_flags(self._read_flags(), options)

    def _read_file(self, options: Mapping[str, OptionInfo]) -> dict[str, Value]:
        values = {path: look_up(self.document, path) for path in options}
        return {
            path: Value(value, self.file) for path, value in values.items() if value is not None
        }

    def _read_environment(self, options: Mapping[str, OptionInfo]) -> dict[str, Value]:
        values = {}
        for path, option in options.items():
            for name, template in _variables(option).items():
                # An empty variable counts as not set, as in Landlord.
                value = self.environment.get(name)
                if value and not is_service_variable(name, self.environment, is_setting=True):
                    values[path] = Value(template.format(value), f"${name}")
                    break
        return values

    def _read_flags(self) -> dict[str, Value]:
        return {
            path.replace("-", "_"): Value(value, "flag")
            for path, value in self.flags.items()
            if not is_compute_flag(path)
        }


def _variables(option: OptionInfo) -> dict[str, str]:
    """List the variables of a setting with their templates; the first that is set counts."""
    return {variable(option.path): "{}", **more_variables(option)}


def _check(options: Mapping[str, OptionInfo], values: Mapping[str, Value]) -> Iterator[str]:
    """Check each value separately, so that one error reports all bad settings."""
    for path, option in options.items():
        if path in values:
            yield from check_value(option, path, values[path])
        elif option.has_no_default:
            yield f"{path} is missing: set it in the file, or as ${variable(path)}"


def _named_compute(
    options: Mapping[str, OptionInfo], values: Mapping[str, Value], engine: str
) -> set[str]:
    """Name the worker's default and forced compute engine, before the settings are complete."""

    def given(path: str) -> object:
        if path in values:
            return values[path].value
        return options[path].default if path in options else None

    default = given("worker.compute_provider")
    if default is None:
        default = given(f"workflow.{engine}.worker_compute_provider")
    named = (default, given("worker.force_compute_provider"))
    return {name for name in named if isinstance(name, str) and name}


def _build(tree: type, values: Mapping[str, Value], engine: str) -> Any:
    try:
        return build(tree, values)
    except InvalidSettingsError:
        # Each value was valid alone, so that the engine's class refuses the combination. Its error
        # and traceback may contain values.
        raise SettingsError(
            f"the checks of worker engine {engine} refuse workflow.{engine}",
            hint="see the documentation of this worker engine's settings",
        ) from None


def _finish(
    loaded: Any, engine: str, origins: dict[str, str], compute: Mapping[str, ReadSection]
) -> Loaded:
    """Fill missing keys of ``worker`` from the engine's section, and check the whole."""
    section = getattr(loaded.workflow, attribute(engine))
    worker: WorkerSettings = loaded.worker
    for key, landlord_key in _FILLED_BY_ENGINE.items():
        value = getattr(section, landlord_key, None)
        if getattr(worker, key) is None and value is not None:
            worker = attrs.evolve(worker, **{key: value})
            origins[f"worker.{key}"] = f"workflow.{engine}.{landlord_key}"
    if worker.compute_cache_ttl is None:
        worker = attrs.evolve(worker, compute_cache_ttl=DEFAULT_CACHE_TTL)
    worker.check()
    sections = {name: layer.section for name, layer in compute.items()}
    settings = Settings(engine=section, compute=sections, log=loaded.log, worker=worker)
    values = dict(list_values(attrs.evolve(loaded, worker=worker), origins))
    return Loaded(
        settings=settings,
        origins=_join((layer.origins for layer in compute.values()), origins),
        values=_join((layer.values for layer in compute.values()), values),
        durations=frozenset().union(*(layer.durations for layer in compute.values())),
    )


def _join(sections: Iterable[Mapping[str, T]], others: Mapping[str, T]) -> dict[str, T]:
    """Put the sections of compute engines before all others, as in the order of their names."""
    return {**dict(item for section in sections for item in section.items()), **others}


def _read(path: Path) -> Mapping[str, Any]:
    read = read_json if path.suffix.lower() == ".json" else read_yaml
    try:
        # utf-8-sig: editors on Windows write a byte order mark first.
        document = read(read_file(path).decode("utf-8-sig"), str(path))
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"the settings file {path} cannot be read: {type(error).__name__}",
            hint="write it as UTF-8 text, and less deeply nested",
        ) from None
    if not isinstance(document, Mapping):
        raise SettingsError(
            f"the settings file {path} contains no map of settings",
            hint="write sections such as worker: and log: at its top level",
        )
    return document
