"""Writes the table of settings into a document, from the settings tree and its docstrings.

    python -m landlord_test_target.settings_table docs/operating/configure.md

The table stands between two markers; a test compares it with the tree.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.compute import docker, ecs, process
from landlord_engines_core.settings import LogSettings, Secret, WorkerSettings
from landlord_engines_core.settings.types import Duration
from landlord_engines_restate import RestateSettings

BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"

SECTIONS: tuple[tuple[str, type], ...] = (
    ("worker", WorkerSettings),
    ("log", LogSettings),
    ("workflow.restate", RestateSettings),
    *(
        (f"compute.{factory.info.name}", factory.settings_type)
        for factory in (docker.factory, ecs.factory, process.factory)
    ),
)


def table() -> str:
    """Build all sections as Markdown."""
    return "\n".join(
        f"### `{section}`\n\n| key | default | environment | what |\n|---|---|---|---|\n{rows}"
        for section, kind in SECTIONS
        if (rows := "".join(_rows(section, kind)))
    )


def update_table(document: str) -> str:
    """Return the document with the current table."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def _rows(section: str, kind: Any, prefix: str = "") -> Iterator[str]:
    meanings = dict(_attributes(kind))
    for field in attrs.fields(kind):
        if attrs.has(field.type):
            yield from _rows(section, field.type, f"{prefix}{field.name}.")
            continue
        also = "".join(f", `{name}`" for name in field.metadata.get("environment", {}))
        variable = f"{section}.{prefix}{field.name}".upper().replace(".", "_")
        default = _default(field)
        yield f"| `{prefix}{field.name}` | {default} | `{variable}`{also} | {meanings[field.name]} |\n"


def _attributes(kind: type) -> Iterator[tuple[str, str]]:
    """Read the attributes of a Google docstring, each with its text on one line."""
    _, _, text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE):
        yield name, " ".join(meaning.split()).replace("``", "`").replace("|", "\\|")


def _default(field: Any) -> str:
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return "none" if field.default.factory is dict else "see there"
    if field.default is None or field.default in ("", ()) or field.type is Secret:
        return "none"
    if field.type is Duration:
        return f"`{_duration(field.default)}`"
    value = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{value}`"


def _duration(seconds: float) -> str:
    whole = int(seconds)
    for unit, size in (("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{seconds:g}s"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(update_table(path.read_text()))
