"""Reading settings from a file, the environment and flags, each value with its origin.

The environment's names are the paths in capitals, as Landlord's are: ``worker.drain_timeout`` is
``WORKER_DRAIN_TIMEOUT``. A field of an engine's section may name more variables in its metadata,
``{"environment": {"PORT": ":{}"}}``: the first that is set goes through its template.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import typed_settings as ts
import yaml
from typed_settings.cls_utils import deep_options
from typed_settings.dict_utils import set_path
from typed_settings.exceptions import InvalidSettingsError
from typed_settings.loaders import DictLoader
from typed_settings.types import OptionInfo

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.files import find_file, read_file
from landlord_engines_core.settings.kinds import Converter, expectation
from landlord_engines_core.settings.misspelt import (
    look_up,
    misshapen,
    near_misses,
    unknown_flags,
    unknown_keys,
    variable,
)
from landlord_engines_core.settings.tree import (
    DEFAULT_CACHE_TTL,
    Settings,
    WorkerSettings,
    attribute,
    tree_for,
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

_DOCKERS = {
    "host": "DOCKER_HOST",
    "cert_path": "DOCKER_CERT_PATH",
    "tls_verify": "DOCKER_TLS_VERIFY",
}
"""Keys of ``compute.docker``, and what Docker's own clients read, which wins as with Landlord."""


@attrs.frozen(kw_only=True)
class Loaded:
    """Settings, and for each path in them where the value comes from."""

    settings: Settings
    origins: Mapping[str, str]
    values: Mapping[str, object] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Sources:
    """What was written down somewhere, before it is known which engine it is for.

    Attributes:
        document: The file's content.
        file: Where it was; empty without one.
        environment: The environment's variables.
        flags: Values of flags by path.
    """

    document: Mapping[str, Any] = attrs.field(repr=False)
    file: str
    environment: Mapping[str, str] = attrs.field(repr=False)
    flags: Mapping[str, str] = attrs.field(repr=False)

    @classmethod
    def gather(
        cls, config: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]
    ) -> "Sources":
        """Find and read the file.

        Args:
            config: The file that was named; without one the places that Landlord looks in.
            environment: The environment's variables.
            flags: Values of flags by path.

        Raises:
            SettingsError: A file that was named is missing, or a file cannot be read.
        """
        path = find_file(config, environment)
        document = _read(path) if path is not None else {}
        return cls(document=document, file=str(path or ""), environment=environment, flags=flags)

    def default_engine(self) -> str:
        """The worker engine that ``workflow.default_provider`` names, or empty."""
        section = self.document.get("workflow")
        in_file = section.get("default_provider", "") if isinstance(section, Mapping) else ""
        in_environment = self.environment.get("WORKFLOW_DEFAULT_PROVIDER") or str(in_file)
        return self.flags.get("workflow.default_provider", in_environment)

    def load(self, engine: str, settings_type: type) -> Loaded:
        """Put the settings for one worker engine together.

        Raises:
            SettingsError: One line for everything that is wrong, with path and origin.
        """
        tree = tree_for(engine, settings_type)
        options = {option.path: option for option in deep_options(tree)}
        found = {**self._in_file(options), **self._in_environment(options), **self._in_flags()}
        problems = [
            *misshapen(self.document, attribute(engine), self.file),
            *unknown_keys(self.document, options, attribute(engine), self.file),
            *near_misses(self.environment, options, attribute(engine)),
            *unknown_flags(self.flags, options),
            *(
                f"{path} is missing: set it in the file, or as ${variable(path)}"
                for path, option in options.items()
                if option.has_no_default and path not in found
            ),
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
        return _finish(loaded, engine, origins, self.environment)

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
            field = attrs.fields_dict(option.parent_cls)[option.name]
            also = field.metadata.get("environment", {})
            for name, template in {variable(path): "{}", **also}.items():
                # An empty variable counts as not set, as Landlord has it.
                if self.environment.get(name):
                    found[path] = _Found(template.format(self.environment[name]), f"${name}")
                    break
        return found

    def _in_flags(self) -> dict[str, "_Found"]:
        return {path: _Found(value, "flag") for path, value in self.flags.items()}


@attrs.frozen
class _Found:
    value: Any = attrs.field(repr=False)
    origin: str


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


def _finish(
    loaded: Any, engine: str, origins: dict[str, str], environment: Mapping[str, str]
) -> Loaded:
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
    compute = _with_dockers(loaded.compute, worker, environment)
    settings = Settings(engine=section, compute=compute, log=loaded.log, worker=worker)
    values = dict(_leaves(attrs.evolve(loaded, worker=worker), origins))
    return Loaded(settings=settings, origins=origins, values=values)


def _with_dockers(
    compute: dict[str, dict[str, Any]], worker: WorkerSettings, environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Let the environment fill ``compute.docker``, where this worker has that compute engine."""
    if "docker" not in (*compute, worker.compute_provider, worker.force_compute_provider):
        return compute
    found: dict[str, Any] = {key: environment.get(name) for key, name in _DOCKERS.items()}
    given = {key: value for key, value in found.items() if value}
    if "tls_verify" in given:
        # Docker's own clients take any text for a yes.
        given["tls_verify"] = True
    return {**compute, "docker": {**compute.get("docker", {}), **given}}


def _leaves(tree: Any, paths: Iterable[str]) -> Iterator[tuple[str, object]]:
    for path in paths:
        value = tree
        for part in path.split("."):
            value = getattr(value, part)
        yield path, value


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(read_file(path).decode("utf-8"))
    except yaml.YAMLError as error:
        # Its text may quote the file: a secret that begins with a star reads as an unknown alias.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise SettingsError(
            f"{path} is not YAML{where}", hint="quote a text that holds special characters"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}") from None
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise SettingsError(f"{path} does not hold a map of settings")
    return document
