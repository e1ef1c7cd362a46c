"""Reading settings from a file, the environment and flags, each value with its origin.

The environment's names are the paths in capitals, as Landlord's are: ``worker.drain_timeout`` is
``WORKER_DRAIN_TIMEOUT``. A field of an engine's section may name more variables in its metadata,
``{"environment": {"PORT": ":{}"}}``: the first that is set goes through its template.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import typed_settings as ts
from typed_settings.cls_utils import deep_options
from typed_settings.dict_utils import set_path
from typed_settings.exceptions import InvalidSettingsError
from typed_settings.loaders import DictLoader
from typed_settings.types import OptionInfo

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.compute import ComputeSources, is_compute_flag
from landlord_engines_core.settings.files import find_file, read_file
from landlord_engines_core.settings.formats import read_json, read_yaml
from landlord_engines_core.settings.json_values import not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.settings.tree import (
    DEFAULT_CACHE_TTL,
    Settings,
    WorkerSettings,
    attribute,
    tree_for,
)
from landlord_engines_core.settings.types import Converter, expectation, is_duration
from landlord_engines_core.settings.unknown_keys import (
    PASSED_OVER,
    look_up,
    misshapen,
    near_misses,
    passed_over,
    unknown_flags,
    unknown_keys,
    variable,
)

__all__ = ["Loaded", "Sources"]

DEFAULT = "default"
"""The origin of a value that nobody has set."""

_FILLED_BY_ENGINE = {
    "landlord_api_url": "worker_landlord_api_url",
    "compute_provider": "worker_compute_provider",
    "compute_cache_ttl": "worker_compute_cache_ttl",
}
"""Keys of ``worker`` that Landlord's names in an engine's section fill too."""


@attrs.frozen(kw_only=True)
class Loaded:
    """Settings, and for each path in them where the value comes from.

    Attributes:
        values: The value at each path, secrets masked.
        durations: The paths whose values are seconds.
        passed_over: Settings of Landlord's examples that are there, and that nobody reads.
    """

    settings: Settings
    origins: Mapping[str, str]
    values: Mapping[str, object] = attrs.field(repr=False)
    durations: frozenset[str] = frozenset()
    passed_over: tuple[str, ...] = ()

    def check(self) -> None:
        """Have the engine's section checked by itself, where its class has a ``check``.

        Raises:
            SettingsError: It does not accept its settings.
        """
        check = getattr(self.settings.engine, "check", None)
        if check is not None:
            check()


@attrs.frozen(kw_only=True)
class Sources:
    """What was written down somewhere, before it is known which engine it is for.

    Attributes:
        document: The file's content.
        file: Where it was; empty without one.
        environment: The environment's variables.
        flags: Values of flags by path.
        compute_engines: The names of installed compute engines, by which a variable such as
            ``COMPUTE_DOCKER_HOST`` is understood; those that the file names count too.
    """

    document: Mapping[str, Any] = attrs.field(repr=False)
    file: str
    environment: Mapping[str, str] = attrs.field(repr=False)
    flags: Mapping[str, str] = attrs.field(repr=False)
    compute_engines: Collection[str] = ()

    @classmethod
    def gather(
        cls,
        config: Path | None,
        environment: Mapping[str, str],
        flags: Mapping[str, str],
        compute_engines: Collection[str] = (),
    ) -> "Sources":
        """Find and read the file.

        Args:
            config: The file that was named; without one the places that Landlord looks in.
            environment: The environment's variables.
            flags: Values of flags by path.
            compute_engines: The names of installed compute engines.

        Raises:
            SettingsError: A file that was named is missing, or a file cannot be read.
        """
        path = find_file(config, environment)
        document = _read(path) if path is not None else {}
        return cls(
            document=document,
            file=str(path or ""),
            environment=environment,
            flags=flags,
            compute_engines=compute_engines,
        )

    def default_engine(self) -> str:
        """The worker engine that ``workflow.default_provider`` names, or empty.

        Raises:
            SettingsError: Nothing names one, and a variable's name is nearly that of this setting.
        """
        section = self.document.get("workflow")
        in_file = section.get("default_provider", "") if isinstance(section, Mapping) else ""
        name = variable("workflow.default_provider")
        named = self.flags.get("workflow.default_provider") or self.environment.get(name) or in_file
        if not named and (misspelt := list(near_misses(self.environment, {name}, "", ()))):
            raise SettingsError("; ".join(misspelt), hint="correct it where it was set")
        return str(named)

    def load(self, engine: str, settings_type: type) -> Loaded:
        """Put the settings for one worker engine together.

        Raises:
            SettingsError: One line for everything that is wrong, with path and origin.
        """
        tree = tree_for(engine, settings_type)
        options = {option.path: option for option in deep_options(tree)}
        compute = self._compute()
        found = {**self._in_file(options), **self._in_environment(options), **self._in_flags()}
        if sections := compute.sections():
            found["compute"] = _Found(sections, compute.origin())
        problems = [*compute.problems(), *self._misspelt(options, engine, compute.engines)]
        problems += [
            f"{path} is missing: set it in the file, or as ${variable(path)}"
            for path, option in options.items()
            if option.has_no_default and path not in found
        ]
        converter = Converter()
        document: dict[str, Any] = {}
        for path, one in found.items():
            if path in options:
                problems += _problem(converter, options[path], one)
                set_path(document, path, one.value)
        if problems:
            raise SettingsError("; ".join(problems), hint="correct each where it was set")
        loaded = _build(tree, document, converter, engine)
        origins = {path: found[path].origin if path in found else DEFAULT for path in options}
        finished = _finish(loaded, engine, origins, compute)
        durations = (path for path, option in options.items() if is_duration(option.cls))
        return attrs.evolve(
            finished,
            durations=frozenset(durations),
            passed_over=passed_over(self.document, self.environment),
        )

    def _compute(self) -> ComputeSources:
        return ComputeSources.gather(
            self.document, self.file, self.environment, self.flags, self.compute_engines
        )

    def _misspelt(
        self, options: Mapping[str, OptionInfo], engine: str, compute_engines: Collection[str]
    ) -> Iterator[str]:
        """Name what has a wrong form, and what nobody reads although it looks like a setting."""
        name = attribute(engine)
        yield from misshapen(self.document, name, self.file)
        for section in ("log", "worker", f"workflow.{name}"):
            for line in not_json(look_up(self.document, section), section):
                yield f"{line} ({self.file})"
        yield from unknown_keys(self.document, options, name, self.file)
        known = {each for option in options.values() for each in _variables(option)}
        known |= {"LANDLORD_CONFIG", *(variable(path) for path in PASSED_OVER)}
        yield from near_misses(self.environment, known, name, compute_engines)
        yield from unknown_flags(self._in_flags(), options)

    def _in_file(self, options: Mapping[str, OptionInfo]) -> dict[str, "_Found"]:
        found = {}
        for path in options:
            value = look_up(self.document, path)
            if value is not None:
                found[path] = _Found(value, self.file)
        return found

    def _in_environment(self, options: Mapping[str, OptionInfo]) -> dict[str, "_Found"]:
        found = {}
        for path, option in options.items():
            for name, template in _variables(option).items():
                # An empty variable counts as not set, as Landlord has it.
                value = self.environment.get(name)
                if value and not is_service_variable(name, self.environment, ours=True):
                    found[path] = _Found(template.format(value), f"${name}")
                    break
        return found

    def _in_flags(self) -> dict[str, "_Found"]:
        return {
            path.replace("-", "_"): _Found(value, "flag")
            for path, value in self.flags.items()
            if not is_compute_flag(path)
        }


@attrs.frozen
class _Found:
    value: Any = attrs.field(repr=False)
    origin: str


def _variables(option: OptionInfo) -> dict[str, str]:
    """The variables of a setting, the first one that is set counts; each with its template."""
    field = attrs.fields_dict(option.parent_cls)[option.name]
    also: Mapping[str, str] = field.metadata.get("environment", {})
    return {variable(option.path): "{}", **also}


def _problem(converter: Converter, option: OptionInfo, found: _Found) -> list[str]:
    try:
        converter.structure(found.value, option.cls)
    except Exception:  # noqa: BLE001  # the text of whatever a conversion raises may hold the value
        return [f"{option.path} must be {expectation(option.cls)} ({found.origin})"]
    return []


def _build(tree: type, document: dict[str, Any], converter: Converter, engine: str) -> Any:
    try:
        return ts.load_settings(tree, [DictLoader(document)], converter=converter)
    except InvalidSettingsError:
        # Every single value was good, so it is the engine's class that objects. The text of what it
        # raised may hold values, and so may its traceback.
        raise SettingsError(
            f"workflow.{engine} is refused by the engine's own checks",
            hint="see the documentation of this worker engine's settings",
        ) from None


def _finish(loaded: Any, engine: str, origins: dict[str, str], compute: ComputeSources) -> Loaded:
    """Let the engine's section fill what ``worker`` leaves open, and check the whole."""
    section = getattr(loaded.workflow, attribute(engine))
    worker: WorkerSettings = loaded.worker
    for key, landlords in _FILLED_BY_ENGINE.items():
        value = getattr(section, landlords, None)
        if getattr(worker, key) is None and value is not None:
            worker = attrs.evolve(worker, **{key: value})
            origins[f"worker.{key}"] = f"workflow.{engine}.{landlords}"
    if worker.compute_cache_ttl is None:
        worker = attrs.evolve(worker, compute_cache_ttl=DEFAULT_CACHE_TTL)
    worker.check()
    named = (worker.compute_provider, worker.force_compute_provider)
    sections = compute.sections(named)
    origins["compute"] = compute.origin(named) or DEFAULT
    settings = Settings(engine=section, compute=sections, log=loaded.log, worker=worker)
    values = dict(_leaves(attrs.evolve(loaded, worker=worker, compute=sections), origins))
    return Loaded(settings=settings, origins=origins, values=values)


def _leaves(tree: Any, paths: Iterable[str]) -> Iterator[tuple[str, object]]:
    for path in paths:
        value = tree
        for part in path.split("."):
            value = getattr(value, part)
        yield path, value


def _read(path: Path) -> Mapping[str, Any]:
    read = read_json if path.suffix.lower() == ".json" else read_yaml
    try:
        # Editors on Windows put a byte order mark first.
        document = read(read_file(path).decode("utf-8-sig"), str(path))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}") from None
    if not isinstance(document, Mapping):
        raise SettingsError(f"{path} does not hold a map of settings")
    return document
