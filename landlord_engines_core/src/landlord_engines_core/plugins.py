"""Finding and loading engines by their entry points; no other module imports stevedore.

Listing reads metadata and imports nothing. stevedore then loads only the chosen entry point. Its standard
managers would import every plugin, hide duplicates and lose the causes of failures (observed with
stevedore 5.10).
"""

import difflib
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint

import attrs
from stevedore.driver import DriverManager
from stevedore.extension import ExtensionManager

from landlord_engines_core.compute import COMPUTE_CONTRACT, ComputeEngineFactory
from landlord_engines_core.distributions import Damaged, Installed, read_installed
from landlord_engines_core.engine import CONTRACT, EngineFactory
from landlord_engines_core.errors import (
    PluginAmbiguous,
    PluginError,
    PluginImportFailed,
    PluginIncompatible,
    PluginNotInstalled,
    PluginWrongType,
)

__all__ = [
    "COMPUTE_ENGINES",
    "WORKER_ENGINES",
    "Candidate",
    "find_compute_settings",
    "list_damaged",
    "list_engines",
    "load_compute_engine",
    "load_worker_engine",
]

WORKER_ENGINES = "landlord.worker_engines"
COMPUTE_ENGINES = "landlord.compute_engines"
"""Groups of entry points; a group without a suffix is major version 1."""

_PREFIX = "landlord."

_DISTRIBUTIONS = {
    (WORKER_ENGINES, "restate"): "landlord-engines-restate",
    (WORKER_ENGINES, "stepfunctions"): "landlord-engines-stepfunctions-stub",
}
"""Distributions of engines, for the hint to install one."""


@attrs.frozen(kw_only=True)
class Candidate:
    """Engine that an installed distribution offers."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version}, {self.target})"


def list_engines(group: str) -> tuple[Candidate, ...]:
    """List the engines of a group by name, and import none of them."""
    candidates = (
        _candidate(point, distribution)
        for distribution in read_installed(_PREFIX)
        for point in distribution.entry_points
        if point.group == group
    )
    return tuple(sorted(candidates, key=lambda engine: (engine.name, engine.distribution)))


def list_damaged() -> tuple[Damaged, ...]:
    """List the installed distributions that cannot be read; an engine may be in one of them."""
    return tuple(
        distribution.report for distribution in read_installed(_PREFIX) if distribution.damage
    )


def load_worker_engine(name: str) -> tuple[Candidate, EngineFactory]:
    """Load the factory of one worker engine.

    Raises:
        PluginError: The engine is not installed, ambiguous, incompatible, not importable or of a
            wrong type.
    """
    chosen = _choose(WORKER_ENGINES, name)
    factory = _load(chosen)
    if not isinstance(factory, EngineFactory):
        raise PluginWrongType(
            f"worker engine {chosen} leads to an object of type {type(factory).__name__}, not to an EngineFactory",
            hint=f"update {chosen.distribution}, or report it to its authors",
        )
    return chosen, factory


def load_compute_engine(name: str) -> tuple[Candidate, ComputeEngineFactory]:
    """Load the factory of one compute engine.

    Raises:
        PluginError: See `load_worker_engine`.
    """
    chosen = _choose(COMPUTE_ENGINES, name)
    factory = _load(chosen)
    hint = f"update {chosen.distribution}, or report it to its authors"
    if not isinstance(factory, ComputeEngineFactory):
        raise PluginWrongType(
            f"compute engine {chosen} leads to an object of type {type(factory).__name__},"
            " not to a ComputeEngineFactory",
            hint=hint,
        )
    if factory.info.contract != COMPUTE_CONTRACT:
        raise PluginIncompatible(
            f"compute engine {chosen} is for contract {factory.info.contract!r}, and this host"
            f" implements contract {COMPUTE_CONTRACT}",
            hint=f"upgrade landlord-engines-core, or install another version of {chosen.distribution}",
        )
    if not attrs.has(factory.settings_type):
        raise PluginWrongType(
            f"compute engine {chosen} has a settings_type that is no attrs class", hint=hint
        )
    return chosen, factory


def find_compute_settings(name: str) -> type | None:
    """Find the class of a compute engine's settings; ``None`` if the engine cannot be loaded.

    Loading the engine again for its use reports why.
    """
    try:
        _, factory = load_compute_engine(name)
    except PluginError:
        return None
    return factory.settings_type


def _candidate(point: EntryPoint, distribution: Installed) -> Candidate:
    return Candidate(
        group=point.group,
        name=point.name,
        target=point.value,
        distribution=distribution.name,
        version=distribution.version,
        entry_point=point,
    )


def _choose(group: str, name: str) -> Candidate:
    listed = list_engines(group)
    matches = [engine for engine in listed if engine.name == name]
    if len(matches) > 1:
        raise PluginAmbiguous(
            f"several distributions offer {name!r}: {', '.join(map(str, matches))}",
            hint="uninstall all but one of them",
        )
    if not matches:
        raise _missing(group, name, listed)
    return matches[0]


def _missing(group: str, name: str, listed: Iterable[Candidate]) -> PluginError:
    majors = [engine for engine in _other_majors(group) if engine.name == name]
    if majors:
        return PluginIncompatible(
            f"{majors[0]} is for {majors[0].group}, and this host implements version {CONTRACT}",
            hint="upgrade landlord-engines-core, or install another version of"
            f" {majors[0].distribution}",
        )
    names = sorted({engine.name for engine in listed})
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "install the distribution that offers it"
    if (group, name) in _DISTRIBUTIONS:
        hint = f"pip install {_DISTRIBUTIONS[group, name]}"
    if damaged := list_damaged():
        hint += f"; reinstall distributions that cannot be read: {', '.join(map(str, damaged))}"
    # With the interpreter: most often the engine is installed in another environment.
    return PluginNotInstalled(
        f"{name!r} is not installed in {sys.executable} ({group} has: {', '.join(names) or 'none'})",
        hint=hint,
    )


def _other_majors(group: str) -> Iterable[Candidate]:
    groups = {
        point.group
        for distribution in read_installed(_PREFIX)
        for point in distribution.entry_points
    }
    others = sorted(other for other in groups if other.startswith(f"{group}.v"))
    return (candidate for other in others for candidate in list_engines(other))


def _load(chosen: Candidate) -> object:
    try:
        manager = _SingleEntryPointManager(chosen)
    except PluginError:
        raise
    except (AssertionError, SystemExit) as error:
        # stevedore does not hand these two to its failure callback.
        raise _import_failed(chosen, error) from error
    # Not ``manager.driver``, which returns the class if the object is falsy.
    return manager.extensions[0].plugin


class _SingleEntryPointManager(DriverManager[object]):
    """Manager that loads only the chosen entry point."""

    def __init__(self, chosen: Candidate) -> None:
        self._chosen = chosen
        super().__init__(
            namespace=chosen.group,
            name=chosen.name,
            invoke_on_load=False,
            on_load_failure_callback=self._raise_import_failed,
        )

    def list_entry_points(self) -> list[EntryPoint]:
        """Return the chosen entry point, without stevedore's cache."""
        return [self._chosen.entry_point]

    def _raise_import_failed(
        self, _: ExtensionManager[object], __: EntryPoint, error: BaseException
    ) -> None:
        raise _import_failed(self._chosen, error) from error


def _import_failed(chosen: Candidate, error: BaseException) -> PluginImportFailed:
    return PluginImportFailed(
        f"{chosen} cannot be imported: {type(error).__name__}: {error}",
        hint=f"reinstall {chosen.distribution} and its dependencies, or report it to its authors",
    )
