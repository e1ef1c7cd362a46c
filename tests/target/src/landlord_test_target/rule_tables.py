"""Tables of the contracts' rules and of the verdicts on our engines, as the documents have them.

``python -m landlord_test_target.rule_tables`` writes both.
"""

import json
import re
from pathlib import Path
from typing import Any

from landlord_engines_core.conformance.rulebook import RULES
from landlord_engines_core.conformance.rules import Kind, Rule

__all__ = ["DOCUMENTS", "read_reports", "render", "render_verdicts", "replace"]

_DOCS = Path(__file__).parents[4] / "docs"

DOCUMENTS = {
    Kind.WORKER: _DOCS / "engine-contract.md",
    Kind.COMPUTE: _DOCS / "compute-contract.md",
}
"""The document of each contract."""

_REPORTS = _DOCS.parent / "tests" / "data" / "conformance"

_MOST_IDS = 10

_VERDICTS = "| engine | verdict | kept | others |\n|---|---|---|---|\n"

_HEAD = "| rule | | tier | the engine | because |\n|---|---|---|---|---|\n"


def render(kind: Kind) -> str:
    """Render the table of a kind's rules."""
    return _HEAD + "".join(map(_row, RULES[kind]))


def _row(rule: Rule) -> str:
    only = f" Only with `{rule.capability}`." if rule.capability else ""
    return f"| {rule.id} | {rule.level} | {rule.tier} | {rule.text}{only} | {rule.reason} |\n"


def read_reports(kind: Kind) -> list[dict[str, Any]]:
    """Read the reports on our engines, which ``nox -s conformance`` writes."""
    paths = sorted(_REPORTS.glob(f"{kind}-*.json"))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def render_verdicts(kind: Kind) -> str:
    """Render the table of the verdicts."""
    return _VERDICTS + "".join(map(_verdict_row, read_reports(kind)))


def _verdict_row(report: dict[str, Any]) -> str:
    by_outcome: dict[str, list[str]] = {}
    for rule in report["rules"]:
        by_outcome.setdefault(rule["outcome"], []).append(rule["id"])
    others = (
        f"{outcome}: {_list_ids(by_outcome[outcome])}"
        for outcome in ("failed", "waived", "could-not-run", "not-applicable")
        if outcome in by_outcome
    )
    passed = len(by_outcome.get("passed", ()))
    name = report["engine"]["name"]
    return f"| `{name}` | {report['verdict']} | {passed} | {'. '.join(others)} |\n"


def _list_ids(ids: list[str]) -> str:
    return ", ".join(ids) if len(ids) <= _MOST_IDS else f"{len(ids)} rules"


def replace(kind: Kind, document: str) -> str:
    """Replace the tables in a document."""
    for head, rendered in ((_HEAD, render(kind)), (_VERDICTS, render_verdicts(kind))):
        table = re.compile(re.escape(head) + r"(\|.*\n)*")
        document = table.sub(lambda _, text=rendered: text, document, count=1)  # type: ignore[misc]
    return document


if __name__ == "__main__":
    for kind, path in DOCUMENTS.items():
        path.write_text(replace(kind, path.read_text("utf-8")), "utf-8")
