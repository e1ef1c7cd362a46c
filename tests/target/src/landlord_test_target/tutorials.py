"""Pages that lead from nothing to a wheel: their files and commands, in order."""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from landlord_engines_core.scaffold import Scaffold, render

__all__ = ["PAGES", "read_files", "render_result", "write_script"]

_ROOT = Path(__file__).parents[4]

PAGES = {"worker": "docs/first-engine.md", "compute": "docs/first-compute-engine.md"}
"""The page for each kind of engine. Its engine has the name ``mine``."""

_PART = re.compile(
    r"^`(?P<path>[^`]+)`:\n\n```python\n(?P<text>.*?)^```$|^```sh\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

_TOOLS = ("pytest", "ruff", "mypy")
"""Commands of packages that the tests' environment has, and a reader's environment too."""

_END = "END-OF-FILE"


def read_files(page: str) -> Mapping[str, str]:
    """Read the files that a page shows, by their paths in the distribution."""
    return {part["path"]: part["text"] for part in _read_parts(page) if part["path"]}


def render_result(page: str, scaffold: Scaffold, folder: Path) -> Path:
    """Render a distribution and write the page's files into it, as a reader has it in the end."""
    distribution = render(scaffold, folder)
    for path, text in read_files(page).items():
        (distribution / path).write_text(text, encoding="utf-8")
    return distribution


def write_script(page: str) -> str:
    """Write a shell script with a page's commands and files, in their order.

    Of the sessions, only `types` has ruff and mypy, and runs them on the same files.
    """
    tools = (
        f'{tool}() {{ {f"python -m {tool}" if find_spec(tool) else ":"} "$@"; }}\n'
        for tool in _TOOLS
    )
    return "set -eu\n" + "".join(tools) + "".join(map(_write_part, _read_parts(page)))


def _read_parts(page: str) -> Iterator[re.Match[str]]:
    return _PART.finditer((_ROOT / page).read_text(encoding="utf-8"))


def _write_part(part: re.Match[str]) -> str:
    if part["commands"]:
        return part["commands"]
    return f"cat >{part['path']} <<'{_END}'\n{part['text']}{_END}\n"
