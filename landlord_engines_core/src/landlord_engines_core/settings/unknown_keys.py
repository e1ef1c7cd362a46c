"""Finding keys and variables that nobody reads, and what was meant.

Landlord's file has sections that are not a worker's, and a newer Landlord may have more of them: an
unknown section is an error only where it is nearly one of ours. Inside ours every key must be known.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from landlord_engines_core.settings import compute
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.spelling import find_closest, find_similar, is_typo

__all__ = [
    "PASSED_OVER",
    "look_up",
    "misshapen",
    "near_misses",
    "passed_over",
    "unknown_flags",
    "unknown_keys",
    "variable",
]

_OURS = ("compute", "log", "workflow", "worker")
_LANDLORDS = ("mock", "restate", "step_functions", "temporal")
"""Landlord's own sections of ``workflow``, however much they look like the chosen engine's."""

PASSED_OVER = ("log.development", "workflow.defaultProvider", "workflow.restate.auth_token")
"""What Landlord's own examples have, and neither its worker nor this one reads (Landlord 98ffef1)."""


def variable(path: str) -> str:
    """The environment variable of a setting."""
    return path.upper().replace(".", "_")


def look_up(document: Any, path: str) -> Any:
    """The value at a path of a file, or None; an engine's name may have a dash there."""
    for part in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(part, document.get(part.replace("_", "-")))
    return document


def unknown_keys(
    document: Mapping[str, Any], paths: Iterable[str], engine: str, file: str
) -> Iterator[str]:
    """Name the keys of a file that mean nothing, each with what may be meant."""
    known = sorted(paths)
    yield from _unknown(document, "", _OURS, file, only_near=True)
    workflow = document.get("workflow")
    if isinstance(workflow, Mapping):
        passed = (*_LANDLORDS, "defaultProvider")
        others = {key: None for key in workflow if key not in passed}
        ours = ("default_provider", engine)
        yield from _unknown(others, "workflow.", ours, file, only_near=True)
    for section in ("log", "worker", f"workflow.{engine}"):
        keys = [path.rpartition(".")[2] for path in known if path.rpartition(".")[0] == section]
        found = look_up(document, section)
        if isinstance(found, Mapping):
            found = {key: None for key in found if f"{section}.{key}" not in PASSED_OVER}
        yield from _unknown(found, f"{section}.", keys, file, only_near=False)


def passed_over(document: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The settings of Landlord's examples that are there, and that nobody reads."""
    names = {path: variable(path) for path in PASSED_OVER}
    in_file = [path for path in names if look_up(document, path) is not None]
    return (*in_file, *(f"${name}" for name in names.values() if name in environment))


def unknown_flags(flags: Iterable[str], paths: Collection[str]) -> Iterator[str]:
    """Name the flags that set nothing, each with what may be meant."""
    for flag in flags:
        section, _, key = flag.rpartition(".")
        keys = [path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == section]
        if keys:
            yield from _unknown({key: None}, f"{section}.", keys, "flag", only_near=False)
        else:
            yield from _unknown({flag: None}, "", paths, "flag", only_near=False)


def misshapen(document: Mapping[str, Any], engine: str, file: str) -> Iterator[str]:
    """Name the sections of a file that are not maps, and so would say nothing."""
    for section in ("log", "worker", "workflow", f"workflow.{engine}"):
        found = look_up(document, section)
        if found is not None and not isinstance(found, Mapping):
            yield f"{section} must be a map ({file})"


def near_misses(
    environment: Mapping[str, str],
    known: Collection[str],
    engine: str,
    compute_engines: Collection[str],
) -> Iterator[str]:
    """Name the variables that are nearly one of ours, but for empty ones and those of services.

    Args:
        environment: The environment's variables.
        known: The variables that are read.
        engine: The worker engine.
        compute_engines: The compute engines, each of which has variables too.
    """
    for name in sorted(environment):
        ours = name in known or compute.is_compute_variable(name, compute_engines)
        if ours or not environment[name] or is_service_variable(name, environment):
            continue
        if meant := _meant_variable(name, known, engine, compute_engines):
            yield f"the environment variable {name} is unknown; did you mean {meant}?"


def _meant_variable(
    name: str, known: Collection[str], engine: str, compute_engines: Collection[str]
) -> str:
    # Docker and Kubernetes take names with dots and dashes.
    plain = re.sub("[-.]", "_", name).upper()
    if "_" in name and plain in known:
        return plain
    if typos := [one for one in sorted(known) if is_typo(plain, one)]:
        return find_closest(plain, typos)
    section = f"WORKFLOW_{engine.upper()}_"
    if plain.startswith(section):
        # This is ours alone, so that what is alike is enough.
        meant = find_closest(plain.removeprefix(section), _below(section, known))
        return f"{section}{meant}" if meant else ""
    meant = find_similar(plain.removeprefix("WORKER_"), _below("WORKER_", known))
    if plain.startswith("WORKER_") and meant:
        return f"WORKER_{meant}"
    return compute.meant_variable(plain, compute_engines)


def _below(prefix: str, known: Iterable[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in sorted(known) if name.startswith(prefix)]


def _unknown(
    section: Any, prefix: str, known: Collection[str], file: str, *, only_near: bool
) -> Iterator[str]:
    spelt: dict[str, object] = {}
    for key in section if isinstance(section, Mapping) else ():
        name = str(key).replace("-", "_")
        if (other := spelt.setdefault(name, key)) != key and name in known:
            yield f"{prefix}{key} and {prefix}{other} are the same key: keep one ({file})"
        if name in known:
            continue
        meant = find_similar(name, known) if only_near else find_closest(name, known)
        if meant:
            yield f"{prefix}{key} is unknown; did you mean {prefix}{meant}? ({file})"
        elif not only_near:
            yield f"{prefix}{key} is unknown ({file})"
