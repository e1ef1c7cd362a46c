"""Tables of the contracts' rules, as the documents have them: ``python -m landlord_test_target.rule_tables``."""

import re
from pathlib import Path

from landlord_engines_core.conformance.rulebook import RULES
from landlord_engines_core.conformance.rules import Kind, Rule

__all__ = ["DOCUMENTS", "render", "replace"]

_DOCS = Path(__file__).parents[4] / "docs"

DOCUMENTS = {
    Kind.WORKER: _DOCS / "engine-contract.md",
    Kind.COMPUTE: _DOCS / "compute-contract.md",
}
"""The document of each contract."""

_HEAD = "| rule | | tier | the engine | because |\n|---|---|---|---|---|\n"


def render(kind: Kind) -> str:
    """Render the table of a kind's rules."""
    return _HEAD + "".join(map(_row, RULES[kind]))


def _row(rule: Rule) -> str:
    only = f" Only with `{rule.capability}`." if rule.capability else ""
    return f"| {rule.id} | {rule.level} | {rule.tier} | {rule.text}{only} | {rule.reason} |\n"


def replace(kind: Kind, document: str) -> str:
    """Replace the table in a document."""
    table = re.compile(re.escape(_HEAD) + r"(\|.*\n)*")
    return table.sub(lambda _: render(kind), document, count=1)


if __name__ == "__main__":
    for kind, path in DOCUMENTS.items():
        path.write_text(replace(kind, path.read_text("utf-8")), "utf-8")
