"""Reading settings from a file, the environment and flags, each value with its origin.

A variable's name is the path in capitals, as in Landlord: ``worker.drain_timeout`` is
``WORKER_DRAIN_TIMEOUT``. A field of an engine's section may name more variables in its metadata, such as
``{"environment": {"PORT": ":{}"}}``. The first variable that is set counts, and its template is applied.
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
from landlord_engines_core.settings.json_values import find_not_json
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.settings.tree import (
    DEFAULT_CACHE_TTL,
    Settings,
    WorkerSettings,
    attribute,
    tree_for,
)
from landlord_engines_core.settings.types import Converter, describe_type, is_duration
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

__all__ = ["Loaded", "Sources"]

DEFAULT = "default"
"""Origin of a value that no source sets."""

_FILLED_BY_ENGINE = {
    "landlord_api_url": "worker_landlord_api_url",
    "compute_provider": "worker_compute_provider",
    "compute_cache_ttl": "worker_compute_cache_ttl",
}
"""Keys of ``worker``, and Landlord's keys in an engine's section that fill them."""


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
        """Call the ``check`` of the engine's section, if its class has one.

        Raises:
            SettingsError: The section refuses its settings.
        """
        check = getattr(self.settings.engine, "check", None)
        if check is not None:
            check()


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
            config: The named file; ``None`` for the paths that Landlord searches.
            environment: The environment's variables.
            flags: Values of flags by path.
            compute_engines: The names of installed compute engines.

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
        compute = self._compute()
        # Later sources override earlier ones.
        values = {
            **self._read_file(options),
            **self._read_environment(options),
            **self._read_flags(),
        }
        if sections := compute.sections():
            values["compute"] = _Value(sections, compute.origin())
        problems = [*compute.problems(), *self._find_mistakes(options, engine, compute.engines)]
        problems += [
            f"{path} is missing: set it in the file, or as ${variable(path)}"
            for path, option in options.items()
            if option.has_no_default and path not in values
        ]
        converter = Converter()
        document: dict[str, Any] = {}
        # Each value separately, so that one error reports all bad settings.
        for path, value in values.items():
            if path in options:
                problems += _check_value(converter, options[path], value)
                set_path(document, path, value.value)
        if problems:
            raise SettingsError("; ".join(problems), hint="correct each setting in its source")
        loaded = _build(tree, document, converter, engine)
        origins = {path: values[path].origin if path in values else DEFAULT for path in options}
        finished = _finish(loaded, engine, origins, compute)
        durations = (path for path, option in options.items() if is_duration(option.cls))
        return attrs.evolve(
            finished,
            durations=frozenset(durations),
            unused=find_unused(self.document, self.environment),
        )

    def _compute(self) -> ComputeSources:
        return ComputeSources.gather(
            self.document, self.file, self.environment, self.flags, self.compute_engines
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
        known |= {"LANDLORD_CONFIG", *(variable(path) for path in UNUSED)}
        yield from misspelt_variables(self.environment, known, name, compute_engines)
        yield from unknown_flags(self._read_flags(), options)

    def _read_file(self, options: Mapping[str, OptionInfo]) -> dict[str, "_Value"]:
        values = {path: look_up(self.document, path) for path in options}
        return {
            path: _Value(value, self.file) for path, value in values.items() if value is not None
        }

    def _read_environment(self, options: Mapping[str, OptionInfo]) -> dict[str, "_Value"]:
        values = {}
        for path, option in options.items():
            for name, template in _variables(option).items():
                # An empty variable counts as not set, as in Landlord.
                value = self.environment.get(name)
                if value and not is_service_variable(name, self.environment, is_setting=True):
                    values[path] = _Value(template.format(value), f"${name}")
                    break
        return values

    def _read_flags(self) -> dict[str, "_Value"]:
        return {
            path.replace("-", "_"): _Value(value, "flag")
            for path, value in self.flags.items()
            if not is_compute_flag(path)
        }


@attrs.frozen
class _Value:
    value: Any = attrs.field(repr=False)
    origin: str


def _variables(option: OptionInfo) -> dict[str, str]:
    """List the variables of a setting with their templates; the first that is set counts."""
    field = attrs.fields_dict(option.parent_cls)[option.name]
    more: Mapping[str, str] = field.metadata.get("environment", {})
    return {variable(option.path): "{}", **more}


def _check_value(converter: Converter, option: OptionInfo, value: _Value) -> list[str]:
    try:
        converter.structure(value.value, option.cls)
    except Exception:  # noqa: BLE001  # the error's text may contain the value
        return [f"{option.path} must be {describe_type(option.cls)} ({value.origin})"]
    return []


def _build(tree: type, document: dict[str, Any], converter: Converter, engine: str) -> Any:
    try:
        return ts.load_settings(tree, [DictLoader(document)], converter=converter)
    except InvalidSettingsError:
        # Each value was valid alone, so that the engine's class refuses the combination. Its error
        # and traceback may contain values.
        raise SettingsError(
            f"the checks of worker engine {engine} refuse workflow.{engine}",
            hint="see the documentation of this worker engine's settings",
        ) from None


def _finish(loaded: Any, engine: str, origins: dict[str, str], compute: ComputeSources) -> Loaded:
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
    named = (worker.compute_provider, worker.force_compute_provider)
    sections = compute.sections(named)
    origins["compute"] = compute.origin(named) or DEFAULT
    settings = Settings(engine=section, compute=sections, log=loaded.log, worker=worker)
    values = dict(_list_values(attrs.evolve(loaded, worker=worker, compute=sections), origins))
    return Loaded(settings=settings, origins=origins, values=values)


def _list_values(tree: Any, paths: Iterable[str]) -> Iterator[tuple[str, object]]:
    for path in paths:
        value = tree
        for part in path.split("."):
            value = getattr(value, part)
        yield path, value


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
