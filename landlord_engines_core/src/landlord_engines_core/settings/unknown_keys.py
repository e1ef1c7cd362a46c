"""Finding unknown keys and variables, with the known name that each may stand for.

Landlord's file has sections for other programs, and a newer Landlord may have more of them. An
unknown section is therefore an error only if its name is similar to a worker's section. In ``log``,
``worker`` and ``workflow.<engine>`` every unknown key is an error.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from landlord_engines_core.settings import compute
from landlord_engines_core.settings.service_variables import is_service_variable
from landlord_engines_core.spelling import find_closest, find_similar, is_typo

__all__ = [
    "UNUSED",
    "find_unused",
    "list_non_maps",
    "look_up",
    "misspelt_variables",
    "report_unknown",
    "unknown_flags",
    "unknown_keys",
    "variable",
]

_SECTIONS = ("compute", "log", "workflow", "worker")
_LANDLORD_SECTIONS = ("mock", "restate", "step_functions", "temporal")
"""Landlord's sections of ``workflow``; they are never typos of the chosen engine's name."""

UNUSED = ("log.development", "workflow.defaultProvider", "workflow.restate.auth_token")
"""Settings in Landlord's examples that no worker reads (Landlord 98ffef1)."""


def variable(path: str) -> str:
    """Name the environment variable of a setting."""
    return path.upper().replace(".", "_")


def look_up(document: Any, path: str) -> Any:
    """Look up the value at a path of a file, or ``None``; a key may have dashes in the file."""
    for part in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(part, document.get(part.replace("_", "-")))
    return document


def unknown_keys(
    document: Mapping[str, Any], paths: Iterable[str], engine: str, file: str
) -> Iterator[str]:
    """Report the unknown keys of a file, each with the known name that it may stand for."""
    known = sorted(paths)
    yield from report_unknown(document, "", _SECTIONS, file, only_near=True)
    workflow = document.get("workflow")
    if isinstance(workflow, Mapping):
        ignored = (*_LANDLORD_SECTIONS, "defaultProvider")
        others = {key: None for key in workflow if key not in ignored}
        names = ("default_provider", engine)
        yield from report_unknown(others, "workflow.", names, file, only_near=True)
    for section in ("log", "worker", f"workflow.{engine}"):
        keys = [path.rpartition(".")[2] for path in known if path.rpartition(".")[0] == section]
        content = look_up(document, section)
        if isinstance(content, Mapping):
            content = {key: None for key in content if f"{section}.{key}" not in UNUSED}
        yield from report_unknown(content, f"{section}.", keys, file, only_near=False)


def find_unused(document: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Find the settings of Landlord's examples that are set although no worker reads them."""
    names = {path: variable(path) for path in UNUSED}
    in_file = [path for path in names if look_up(document, path) is not None]
    return (*in_file, *(f"${name}" for name in names.values() if name in environment))


def unknown_flags(flags: Iterable[str], paths: Collection[str]) -> Iterator[str]:
    """Report the unknown flags, each with the known name that it may stand for."""
    for flag in flags:
        section, _, key = flag.rpartition(".")
        keys = [path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == section]
        if keys:
            yield from report_unknown({key: None}, f"{section}.", keys, "flag", only_near=False)
        else:
            yield from report_unknown({flag: None}, "", paths, "flag", only_near=False)


def list_non_maps(document: Mapping[str, Any], engine: str, file: str) -> Iterator[str]:
    """Report the sections of a file that are not maps."""
    for section in ("log", "worker", "workflow", f"workflow.{engine}"):
        content = look_up(document, section)
        if content is not None and not isinstance(content, Mapping):
            yield f"{section} must be a map ({file})"


def misspelt_variables(
    environment: Mapping[str, str],
    known: Collection[str],
    engine: str,
    compute_engines: Collection[str],
) -> Iterator[str]:
    """Report the variables whose names are similar to a setting's.

    Empty variables pass, and those that Kubernetes or Docker injects for a service.

    Args:
        environment: The environment's variables.
        known: The variables of settings.
        engine: The worker engine.
        compute_engines: The compute engines; each has variables too.
    """
    for name in sorted(environment):
        is_known = name in known or compute.is_compute_variable(name, compute_engines)
        if is_known or not environment[name] or is_service_variable(name, environment):
            continue
        if meant := _find_variable(name, known, engine, compute_engines):
            yield f"the environment variable {name} is unknown; did you mean {meant}?"


def _find_variable(
    name: str, known: Collection[str], engine: str, compute_engines: Collection[str]
) -> str:
    # Docker and Kubernetes accept names with dots and dashes.
    plain = re.sub("[-.]", "_", name).upper()
    if "_" in name and plain in known:
        return plain
    if typos := [other for other in sorted(known) if is_typo(plain, other)]:
        return find_closest(plain, typos)
    section = f"WORKFLOW_{engine.upper()}_"
    if plain.startswith(section):
        # No other program uses this prefix, so that a similar name is enough.
        meant = find_closest(plain.removeprefix(section), _below(section, known))
        return f"{section}{meant}" if meant else ""
    meant = find_similar(plain.removeprefix("WORKER_"), _below("WORKER_", known))
    if plain.startswith("WORKER_") and meant:
        return f"WORKER_{meant}"
    return compute.find_variable(plain, compute_engines)


def _below(prefix: str, known: Iterable[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in sorted(known) if name.startswith(prefix)]


def report_unknown(
    section: Any, prefix: str, known: Collection[str], file: str = "", *, only_near: bool
) -> Iterator[str]:
    """Report the unknown keys of one section, and keys that are written in two ways.

    Args:
        section: The section; anything but a map has no keys.
        prefix: The section's path with a dot, for the messages.
        known: The known keys.
        file: The source, for the messages; empty if several are combined.
        only_near: Whether to report only keys that are similar to a known one.
    """
    spelt: dict[str, object] = {}
    source = f" ({file})" if file else ""
    for key in section if isinstance(section, Mapping) else ():
        name = str(key).replace("-", "_")
        if (other := spelt.setdefault(name, key)) != key and name in known:
            yield f"{prefix}{key} and {prefix}{other} are the same key: keep one{source}"
        if name in known:
            continue
        meant = find_similar(name, known) if only_near else find_closest(name, known)
        if meant:
            yield f"{prefix}{key} is unknown; did you mean {prefix}{meant}?{source}"
        elif not only_near:
            yield f"{prefix}{key} is unknown{source}"
