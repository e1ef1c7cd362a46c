"""Loading engines by their entry points; no other module imports stevedore.

The catalog names what is installed. stevedore then loads only the chosen entry point. Its standard managers
would import every plugin, hide duplicates and lose the causes of failures (observed with stevedore 5.10).
"""

import difflib
import sys
from importlib.metadata import EntryPoint

from stevedore.driver import DriverManager
from stevedore.extension import ExtensionManager

from landlord_engines_core.catalog import (
    COMPUTE_ENGINES,
    WORKER_ENGINES,
    Candidate,
    Catalog,
    match_group,
    read_catalog,
)
from landlord_engines_core.catalog_problems import ProblemKind, advise_choice, find_problems
from landlord_engines_core.compute import COMPUTE_CONTRACT, ComputeEngineFactory
from landlord_engines_core.compute.declaration import find_compute_problems
from landlord_engines_core.engine import CONTRACT, EngineFactory
from landlord_engines_core.engine.declaration import find_factory_problems
from landlord_engines_core.errors import (
    PluginAmbiguous,
    PluginError,
    PluginImportFailed,
    PluginIncompatible,
    PluginInvalid,
    PluginNotInstalled,
    PluginWrongType,
)
from landlord_engines_core.plugin_origins import find_origin

__all__ = [
    "choose_engine",
    "find_compute_settings",
    "load_compute_engine",
    "load_worker_engine",
]

_DISTRIBUTIONS = {
    (WORKER_ENGINES, "restate"): "landlord-engines-restate",
    (WORKER_ENGINES, "stepfunctions"): "landlord-engines-stepfunctions-stub",
}
"""Distributions of engines, for the hint to install one."""


def load_worker_engine(name: str) -> tuple[Candidate, EngineFactory]:
    """Load the factory of one worker engine.

    Raises:
        PluginError: The engine is not installed, ambiguous, incompatible, not importable, of a wrong
            type, or declares something that does not hold.
    """
    chosen = choose_engine(WORKER_ENGINES, name)
    factory = _load(chosen)
    if not isinstance(factory, EngineFactory):
        raise PluginWrongType(
            f"worker engine {chosen} leads to an object of type {type(factory).__name__}, not to an EngineFactory",
            hint=f"update {chosen.distribution}, or report it to its authors",
        )
    _refuse_problems(
        "worker",
        chosen,
        find_factory_problems(chosen.name, factory),
        is_other_version=getattr(factory.info, "contract", CONTRACT) != CONTRACT,
    )
    return chosen, factory


def load_compute_engine(name: str) -> tuple[Candidate, ComputeEngineFactory]:
    """Load the factory of one compute engine.

    Raises:
        PluginError: See `load_worker_engine`.
    """
    chosen = choose_engine(COMPUTE_ENGINES, name)
    factory = _load(chosen)
    if not isinstance(factory, ComputeEngineFactory):
        raise PluginWrongType(
            f"compute engine {chosen} leads to an object of type {type(factory).__name__},"
            " not to a ComputeEngineFactory",
            hint=f"update {chosen.distribution}, or report it to its authors",
        )
    _refuse_problems(
        "compute",
        chosen,
        find_compute_problems(chosen.name, factory),
        is_other_version=getattr(factory.info, "contract", COMPUTE_CONTRACT) != COMPUTE_CONTRACT,
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


def _refuse_problems(
    kind: str, chosen: Candidate, problems: tuple[str, ...], *, is_other_version: bool
) -> None:
    if not problems:
        return
    # Alone: its other problems may only be those of another version.
    if is_other_version:
        raise PluginIncompatible(
            f"{kind} engine {chosen} is not for this host: {problems[0]}",
            hint=f"upgrade landlord-engines-core, or install another version of {chosen.distribution}",
        )
    raise PluginInvalid(
        f"{kind} engine {chosen} is not valid: {'; '.join(problems)}",
        hint=f"update {chosen.distribution}, or report it to its authors",
    )


def choose_engine(group: str, name: str) -> Candidate:
    """Choose an engine by its name, or by ``DISTRIBUTION:NAME`` among duplicates, and import nothing.

    Raises:
        PluginError: The engine is not installed, ambiguous, or of another major version.
    """
    catalog = read_catalog()
    matches = [engine for engine in catalog.in_group(group) if engine.is_called(name)]
    if len(matches) > 1:
        raise PluginAmbiguous(
            f"several entry points have the name {name!r}: {', '.join(map(str, matches))}",
            hint=advise_choice(matches),
        )
    if not matches:
        raise _missing(group, name, catalog)
    for problem in find_problems(matches[0], catalog):
        if problem.kind is ProblemKind.BAD_TARGET:
            raise PluginImportFailed(f"{matches[0]}: {problem.text}", hint=problem.hint)
    return matches[0]


def _missing(group: str, name: str, catalog: Catalog) -> PluginError:
    unread = (engine for engine in catalog.engines if match_group(engine.group) == group)
    for engine in unread:
        if engine.is_called(name):
            return _refuse_group(engine, catalog)
    listed = catalog.in_group(group)
    # Where the distribution is given, it may be the wrong one.
    names = sorted({engine.full_name if ":" in name else engine.name for engine in listed})
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "install the distribution that offers it"
    if (group, name) in _DISTRIBUTIONS:
        hint = f"pip install {_DISTRIBUTIONS[group, name]}"
    if catalog.damaged:
        hint += (
            f"; reinstall distributions that cannot be read: {', '.join(map(str, catalog.damaged))}"
        )
    # With the interpreter: most often the engine is installed in another environment.
    return PluginNotInstalled(
        f"{name!r} is not installed in {sys.executable} ({group} has: {', '.join(names) or 'none'})",
        hint=hint,
    )


def _refuse_group(engine: Candidate, catalog: Catalog) -> PluginError:
    """Refuse an engine in a group that this host does not read."""
    problem = find_problems(engine, catalog)[0]
    is_other = problem.kind is ProblemKind.OTHER_MAJOR
    kind = PluginIncompatible if is_other else PluginNotInstalled
    return kind(f"{engine} is in the group {engine.group}: {problem.text}", hint=problem.hint)


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
    # Only these texts are known to name modules and files, and no value.
    text = f": {error}" if isinstance(error, ImportError | SyntaxError) else ""
    return PluginImportFailed(
        f"{chosen} cannot be imported: {type(error).__name__}{text}, at {find_origin(error)}",
        hint=f"reinstall {chosen.distribution} and its dependencies, or report it to its authors",
    )
