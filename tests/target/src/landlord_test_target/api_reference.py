"""Writes the reference of the public names for authors of engines, from the code and its docstrings.

``python -m landlord_test_target.api_reference`` writes the page; a test compares it with the code.
"""

import ast
import enum
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core import api
from landlord_engines_core.errors import LandlordEnginesError

__all__ = ["PAGE", "update_page"]

_ROOT = Path(__file__).parents[4]

PAGE = _ROOT / "docs" / "engine-api.md"

BEGIN, END = "<!-- names: begin -->\n", "<!-- names: end -->\n"

_TITLES = {
    "engine": "Worker engines",
    "steps": "Steps of a job",
    "tenants": "The order of jobs",
    "models": "Jobs, records and answers",
    "queueing": "Parts for queues",
    "compute": "Compute engines",
    "settings": "Types of settings",
    "errors": "Errors",
    "logs": "Logging",
    "codec": "Documents",
}
"""The heading of the names from each module or package of core."""


def update_page(page: str) -> str:
    """Return the page with the current names."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{''.join(_sections())}{END}{after}"


def _sections() -> Iterator[str]:
    homes = _read_homes()
    for home, title in _TITLES.items():
        names = sorted(name for name in api.__all__ if homes[name] == home)
        rows = "".join(_row(name, getattr(api, name)) for name in names)
        yield f"\n## {title}\n\n| name | | has |\n|---|---|---|\n{rows}"


def _read_homes() -> dict[str, str]:
    """Read from which part of core the public module imports each name."""
    tree = ast.parse(inspect.getsource(api))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.name: (node.module or "").partition(".")[2].partition(".")[0] or alias.name
        for node in imports
        for alias in node.names
    }


def _row(name: str, value: Any) -> str:
    text = _read_summary(name, value).replace("``", "`").replace("|", "\\|")
    members = ", ".join(f"`{member}`" for member in _list_members(value))
    return f"| `{name}` | {text} | {members} |\n"


def _read_summary(name: str, value: Any) -> str:
    """Read the first paragraph of a docstring, also of one that follows a constant."""
    own = inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)
    is_masking = getattr(value, "__module__", "").startswith("typed_settings")
    text = inspect.getdoc(value) if own and not is_masking else _read_constants().get(name)
    assert text, f"{name} has no docstring"
    return " ".join(text.partition("\n\n")[0].split())


@cache
def _read_constants() -> dict[str, str]:
    """Read the docstrings below the assignments in core's modules."""
    folder = Path(api.__file__).parent
    docstrings = {}
    for path in sorted(folder.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, text in pairwise(body):
            match node, text:
                case (
                    ast.Assign(targets=[ast.Name(id=name)]),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    docstrings[name] = inspect.cleandoc(doc)
                case _:
                    pass
    return docstrings


def _list_members(value: Any) -> list[str]:
    """List the code of an error, the values of an enumeration, or the fields and methods of a class."""
    if inspect.isfunction(value):
        return [f"({', '.join(inspect.signature(value).parameters)})"]
    if not inspect.isclass(value):
        return []
    if issubclass(value, LandlordEnginesError):
        return [value.code]
    if issubclass(value, enum.Enum):
        return [member.name for member in value]
    fields = [field.name for field in attrs.fields(value)] if attrs.has(value) else []
    methods = [
        name if isinstance(member, property) else f"{name}()"
        for name, member in vars(value).items()
        if inspect.isfunction(member) or isinstance(member, property)
    ]
    return [name for name in (*fields, *methods) if not name.startswith("_")]


if __name__ == "__main__":
    PAGE.write_text(update_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
