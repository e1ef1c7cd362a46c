"""Finding and loading engines by their entry points; the only door to stevedore.

The list reads metadata and imports nothing. stevedore then loads the one entry point that was
chosen: its own managers would import every plugin, hide duplicates and lose the causes of failures
(observed with stevedore 5.10).
"""

import difflib
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint

import attrs
from stevedore.driver import DriverManager
from stevedore.extension import ExtensionManager

from landlord_engines_core.compute import ComputeFactory
from landlord_engines_core.distributions import Damaged, Installed, installed
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
    "damaged",
    "list_engines",
    "load_compute_engine",
    "load_worker_engine",
]

WORKER_ENGINES = "landlord.worker_engines"
COMPUTE_ENGINES = "landlord.compute_engines"
"""The groups of entry points; a group without a suffix is major version 1."""

_PREFIX = "landlord."

_KNOWN = {
    (WORKER_ENGINES, "restate"): "landlord-engines-restate",
    (WORKER_ENGINES, "stepfunctions"): "landlord-engines-stepfunctions-stub",
}


@attrs.frozen(kw_only=True)
class Candidate:
    """An engine that some installed distribution offers."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version}, {self.target})"


def list_engines(group: str) -> tuple[Candidate, ...]:
    """List the engines of a group by name, importing none of them."""
    found = (
        _candidate(point, one)
        for one in installed(_PREFIX)
        for point in one.entry_points
        if point.group == group
    )
    return tuple(sorted(found, key=lambda one: (one.name, one.distribution)))


def damaged() -> tuple[Damaged, ...]:
    """Name the distributions that are installed, and cannot be read; an engine may be in one."""
    return tuple(one.damaged for one in installed(_PREFIX) if one.damage)


def load_worker_engine(name: str) -> tuple[Candidate, EngineFactory]:
    """Load the factory of one worker engine.

    Raises:
        PluginError: Not installed, ambiguous, incompatible, not importable, or of the wrong type.
    """
    chosen = _choose(WORKER_ENGINES, name)
    factory = _load(chosen)
    if not isinstance(factory, EngineFactory):
        raise PluginWrongType(
            f"worker engine {chosen} leads to {type(factory).__name__}, not to an EngineFactory",
            hint=f"update {chosen.distribution}, or report it to its authors",
        )
    return chosen, factory


def load_compute_engine(name: str) -> tuple[Candidate, ComputeFactory]:
    """Load the factory of one compute engine.

    Raises:
        PluginError: As `load_worker_engine`.
    """
    chosen = _choose(COMPUTE_ENGINES, name)
    factory = _load(chosen)
    if not callable(factory):
        raise PluginWrongType(
            f"compute engine {chosen} leads to {type(factory).__name__}, which cannot be called",
            hint=f"update {chosen.distribution}, or report it to its authors",
        )
    return chosen, factory


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
    found = [one for one in listed if one.name == name]
    if len(found) > 1:
        raise PluginAmbiguous(
            f"several distributions offer {name!r}: {', '.join(str(one) for one in found)}",
            hint="uninstall all but one of them",
        )
    if not found:
        raise _missing(group, name, listed)
    return found[0]


def _missing(group: str, name: str, listed: Iterable[Candidate]) -> PluginError:
    majors = [one for one in _other_majors(group) if one.name == name]
    if majors:
        return PluginIncompatible(
            f"{majors[0]} is for {majors[0].group}, this host speaks version {CONTRACT}",
            hint="upgrade landlord-engines-core, or install another version of"
            f" {majors[0].distribution}",
        )
    names = sorted({one.name for one in listed})
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "install the distribution that offers it"
    if (group, name) in _KNOWN:
        hint = f"pip install {_KNOWN[group, name]}"
    if unreadable := damaged():
        hint += f"; reinstall what cannot be read, {', '.join(map(str, unreadable))}"
    return PluginNotInstalled(
        f"{name!r} is not installed in {sys.executable} ({group} has: {', '.join(names) or 'none'})",
        hint=hint,
    )


def _other_majors(group: str) -> Iterable[Candidate]:
    groups = {point.group for one in installed(_PREFIX) for point in one.entry_points}
    others = sorted(one for one in groups if one.startswith(f"{group}.v"))
    return (candidate for one in others for candidate in list_engines(one))


def _load(chosen: Candidate) -> object:
    try:
        manager = _SingleEntryPointManager(chosen)
    except PluginError:
        raise
    except (AssertionError, SystemExit) as error:
        # stevedore lets these two pass its failure callback.
        raise _import_failed(chosen, error) from error
    # Not ``manager.driver``: it falls back to the class where the object is falsy.
    return manager.extensions[0].plugin


class _SingleEntryPointManager(DriverManager[object]):
    """Has stevedore load exactly the entry point that was chosen."""

    def __init__(self, chosen: Candidate) -> None:
        self._chosen = chosen
        super().__init__(
            namespace=chosen.group,
            name=chosen.name,
            invoke_on_load=False,
            on_load_failure_callback=self._raise_import_failed,
        )

    def list_entry_points(self) -> list[EntryPoint]:
        """The one, past stevedore's cache and with its distribution."""
        return [self._chosen.entry_point]

    def _raise_import_failed(
        self, _: ExtensionManager[object], __: EntryPoint, error: BaseException
    ) -> None:
        raise _import_failed(self._chosen, error) from error


def _import_failed(chosen: Candidate, error: BaseException) -> PluginImportFailed:
    return PluginImportFailed(
        f"{chosen} cannot be imported: {type(error).__name__}: {error}",
        hint=f"reinstall {chosen.distribution} and what it needs, or report it to its authors",
    )
