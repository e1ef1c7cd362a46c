"""The static tier: the engine is imported in a process of its own, and nothing of it is called."""

from functools import partial
from time import process_time

import attrs

from landlord_engines_core.catalog import Candidate
from landlord_engines_core.compute import ComputeEngineFactory, ComputeEngineInfo
from landlord_engines_core.compute.factory import COMPUTE_CONTRACT
from landlord_engines_core.conformance.children import Ended, start_child
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.state import list_changes, read_state
from landlord_engines_core.conformance.story import CannotRun, RuleBroken
from landlord_engines_core.conformance.subject import CORE, Check, Subject
from landlord_engines_core.engine import CONTRACT, Capability, EngineFactory, EngineInfo
from landlord_engines_core.errors import PluginError
from landlord_engines_core.plugins import load_compute_engine, load_worker_engine

__all__ = ["Import", "import_engine", "list_static_checks"]

LONGEST_IMPORT = 2.0
"""Seconds of processor time that an import may take."""


@attrs.frozen(kw_only=True)
class Import:
    """Facts that an import of the engine showed.

    Attributes:
        refusal: Why the host refuses the engine; empty if it loads it.
        changes: What the import changed in the process.
        seconds: The processor time of the import.
        info: The engine's description, if there is one.
        settings: What is wrong with the settings class; empty if nothing is.
    """

    refusal: str
    changes: tuple[str, ...]
    seconds: float
    info: EngineInfo | ComputeEngineInfo | None = None
    settings: str = ""


def list_static_checks(kind: Kind) -> dict[str, Check]:
    """List the static checks of this kind of engine, by the id of the rule."""
    checks: dict[str, Check] = {
        "LOAD-1": check_factory,
        "LOAD-2": check_output,
        "LOAD-3": check_duration,
        "LOAD-4": check_traces,
        "VER-1": check_contract,
        "VER-2": check_range_of_core,
        "CFG-1": check_settings_class,
    }
    if kind is Kind.WORKER:
        return {**checks, "CAP-1": check_lock_is_declared}
    return {_OF_COMPUTE[rule]: check for rule, check in checks.items()}


_OF_COMPUTE = {
    **{f"LOAD-{number}": f"MOD-{number}" for number in (1, 2, 3, 4)},
    "VER-1": "PIN-1",
    "VER-2": "PIN-2",
    "CFG-1": "SET-1",
}
"""The rules of compute engines that are tested as those of worker engines are."""


def check_factory(subject: Subject) -> None:
    """LOAD-1."""
    if refusal := import_engine(subject).refusal:
        raise RuleBroken(refusal)


def check_output(subject: Subject) -> None:
    """LOAD-2."""
    if output := _import(subject).output:
        raise RuleBroken("the import wrote to the standard output", *output.splitlines()[:10])


def check_duration(subject: Subject) -> str:
    """LOAD-3."""
    seconds = import_engine(subject).seconds
    if seconds > LONGEST_IMPORT:
        raise RuleBroken(f"the import took {seconds:.1f} s of processor time")
    return f"{seconds:.2f} s"


def check_traces(subject: Subject) -> None:
    """LOAD-4."""
    if changes := import_engine(subject).changes:
        raise RuleBroken(f"the import changed {', '.join(changes)}")


def check_contract(subject: Subject) -> None:
    """VER-1."""
    contract = _info(subject).contract
    ours = CONTRACT if subject.kind is Kind.WORKER else COMPUTE_CONTRACT
    if contract != ours:
        raise RuleBroken(f"the factory names contract {contract}, and this core has {ours}")


def check_range_of_core(subject: Subject) -> str:
    """VER-2."""
    if subject.find().distribution == CORE:
        return "the engine is a part of core"
    needed = [line for line in subject.requirements() if line.replace("_", "-").startswith(CORE)]
    if not needed:
        raise RuleBroken(f"{subject.find().distribution} does not require {CORE}")
    if not any(bound in needed[0] for bound in ("~=", "<", "==")):
        raise RuleBroken(f"the requirement {needed[0]!r} has no upper bound")
    return needed[0]


def check_settings_class(subject: Subject) -> None:
    """CFG-1."""
    if fault := import_engine(subject).settings:
        raise RuleBroken(fault)


def check_lock_is_declared(subject: Subject) -> None:
    """CAP-1."""
    info = _info(subject)
    if not isinstance(info, EngineInfo) or not info.supports(Capability.TENANT_LOCK):
        raise RuleBroken("the factory does not declare the capability tenant-lock in full")


def _info(subject: Subject) -> EngineInfo | ComputeEngineInfo:
    if (info := import_engine(subject).info) is None:
        raise CannotRun("the entry point leads to no factory of an engine")
    return info


def import_engine(subject: Subject) -> Import:
    """Import the engine in a process of its own.

    Raises:
        RuleBroken: The import did not return.
    """
    ended = _import(subject)
    if not isinstance(ended.answer, Import):
        raise RuleBroken(f"the import {ended.end}", *ended.log.splitlines()[-20:])
    return ended.answer


def _import(subject: Subject) -> Ended:
    return start_child(partial(_import_here, subject.find(), subject.kind), subject.folder).wait()


def _import_here(candidate: Candidate, kind: Kind) -> Import:
    """Import an engine, in a process of its own."""
    before, began = read_state(), process_time()
    target, refusal = _load_target(candidate)
    seconds = process_time() - began
    changes = tuple(list_changes(before))
    try:
        load = load_worker_engine if kind is Kind.WORKER else load_compute_engine
        load(candidate.name)
    except PluginError as error:
        refusal = refusal or str(error)
    imported = Import(refusal=refusal, changes=changes, seconds=seconds)
    if not isinstance(target, EngineFactory | ComputeEngineFactory):
        return imported
    return attrs.evolve(imported, info=target.info, settings=_find_fault(target.settings_type))


def _load_target(candidate: Candidate) -> tuple[object, str]:
    try:
        return candidate.entry_point.load(), ""
    except Exception as error:  # noqa: BLE001  # an import may raise any
        return None, f"the import raised {type(error).__name__}: {error}"


def _find_fault(settings: object) -> str:
    if not isinstance(settings, type) or not attrs.has(settings):
        return f"settings_type is {settings!r}, which is no attrs class"
    return ""
