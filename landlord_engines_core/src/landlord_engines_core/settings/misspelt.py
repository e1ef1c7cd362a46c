"""Finding keys and variables that nobody reads, and what was meant.

Landlord's file has sections that are not a worker's, and a newer Landlord may have more of them: an
unknown section is an error only where it is nearly one of ours. Inside ours every key must be known.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["near_misses", "unknown_keys", "variable"]

_OURS = ("compute", "log", "workflow", "worker")
_NEAR = 0.8


def variable(path: str) -> str:
    """The environment variable of a setting."""
    return path.upper().replace(".", "_")


def unknown_keys(
    document: Mapping[str, Any], paths: Iterable[str], engine: str, file: str
) -> Iterator[str]:
    """Name the keys of a file that mean nothing, each with what may be meant."""
    known = sorted(paths)
    yield from _unknown(document, "", _OURS, file, only_near=True)
    workflow = ("default_provider", engine)
    yield from _unknown(document.get("workflow"), "workflow.", workflow, file, only_near=True)
    for section in ("log", "worker", f"workflow.{engine}"):
        keys = [path.rpartition(".")[2] for path in known if path.rpartition(".")[0] == section]
        found: Any = document
        for part in section.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        yield from _unknown(found, f"{section}.", keys, file, only_near=False)


def near_misses(environment: Mapping[str, str], paths: Iterable[str], engine: str) -> Iterator[str]:
    """Name the variables that are nearly one of ours."""
    known = {variable(path) for path in paths}
    prefixes = ("WORKER_", f"WORKFLOW_{engine.upper()}_")
    for name in sorted(environment):
        if name.startswith(prefixes) and name not in known and (meant := _meant(name, known)):
            yield f"the environment variable {name} is unknown; did you mean {meant}?"


def _unknown(
    section: Any, prefix: str, known: Iterable[str], file: str, *, only_near: bool
) -> Iterator[str]:
    for key in section if isinstance(section, Mapping) else ():
        name = str(key).replace("-", "_")
        if name in known:
            continue
        meant = _meant(name, known)
        if meant:
            yield f"{prefix}{key} is unknown; did you mean {prefix}{meant}? ({file})"
        elif not only_near:
            yield f"{prefix}{key} is unknown ({file})"


def _meant(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), 1, _NEAR)), "")
