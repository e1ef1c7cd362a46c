"""The commands in documents, and a form of their output that is the same in each run."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[4]

OWN_TESTS = {
    "docs/first-compute-engine.md": "test_first_engine.py",
    "docs/first-engine.md": "test_first_engine.py",
    "docs/operating/backup.md": "test_backup.py",
    "docs/operating/containers.md": "docker/test_worker_image.py",
    "docs/operating/install.md": "test_install_path.py",
    "docs/operating/systemd.md": "docker/test_systemd.py",
}
"""Documents whose commands build on each other: the test in tests/e2e that runs them in their order."""

_BLOCKS = re.compile(r"^```sh\n(.*?)^```\n(?:\n```\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)

_VARYING = (
    (r"https?://[\w.:-]+", "URL"),
    (r"\b(inv|dp)_[\w…]+", "ID"),
    (r"'[^']*'", "NAME"),
    (r"\b\d+(\.\d+)?\b", "N"),
)
"""Parts of an output that differ in each run."""


@attrs.frozen
class DocumentedCommand:
    """A command of a document, with the output that the document shows."""

    document: str
    command: str
    output: str = ""


def read_commands(document: str) -> Iterator[DocumentedCommand]:
    """List the commands in `sh` blocks; the next block shows the output of a block's last command."""
    path = ROOT / document
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for block, output in _BLOCKS.findall(text):
        lines = (
            re.sub(r"\s+#.*|^#.*", "", line) for line in block.replace("\\\n", " ").splitlines()
        )
        *others, last = (line.strip() for line in lines if line.strip())
        yield from (DocumentedCommand(document, command) for command in others)
        yield DocumentedCommand(document, last, output)


def reduce_output(output: str) -> set[str]:
    """Reduce each line to the part that is the same in each run."""
    return {_reduce_line(line) for line in output.splitlines() if line.strip()}


def _reduce_line(line: str) -> str:
    if line.startswith("{"):
        return json.dumps(_describe_types(json.loads(line)))
    for pattern, kind in _VARYING:
        line = re.sub(pattern, kind, line)
    return " ".join(line.split())


def _describe_types(value: Any) -> Any:
    """Name the type of each value; a map of maps has one shape for all its keys."""
    if not isinstance(value, Mapping):
        return type(value).__name__
    if value and all(isinstance(inner, Mapping) for inner in value.values()):
        return {"*": _describe_types(next(iter(value.values())))}
    return {key: _describe_types(inner) for key, inner in value.items()}
