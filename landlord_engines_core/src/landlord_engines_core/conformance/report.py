"""The report on an engine: JSON for programs, and lines for a person."""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core import __version__
from landlord_engines_core.conformance.rules import Kind, Rule
from landlord_engines_core.conformance.verdicts import (
    Outcome,
    Result,
    Verdict,
    complete,
    count,
    judge,
)

__all__ = ["REPORT_SCHEMA", "Engine", "Report", "write_report"]

SCHEMA_VERSION = 1
"""The version of the report's form. Within a version, keys are only added."""


@attrs.frozen(kw_only=True)
class Engine:
    """Identity of the engine under test."""

    kind: Kind
    name: str
    distribution: str = ""
    version: str = ""
    target: str = ""


@attrs.frozen(kw_only=True)
class Report:
    """Report on one engine.

    Attributes:
        rules: All rules of its kind.
        results: The results by rule; a rule without one could not run.
    """

    engine: Engine
    rules: tuple[Rule, ...]
    results: Mapping[str, Result]

    @property
    def verdict(self) -> Verdict:
        """The verdict by all rules."""
        return judge(complete(self.rules, self.results))

    def to_json(self) -> dict[str, Any]:
        """Convert the report to the form of `REPORT_SCHEMA`."""
        results = complete(self.rules, self.results)
        return {
            "schema": SCHEMA_VERSION,
            "kit": __version__,
            "engine": attrs.asdict(self.engine),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "verdict": judge(results).value,
            "counts": count(results),
            "rules": [
                {
                    "id": rule.id,
                    "level": rule.level.value,
                    "tier": rule.tier.value,
                    "outcome": result.outcome.value,
                    "note": result.note,
                    "story": list(result.story),
                    "seconds": round(result.seconds, 3),
                }
                for rule, result in zip(self.rules, results, strict=True)
            ],
        }

    def lines(self) -> Iterator[str]:
        """Make the lines for a person: the verdict, and each rule that was not plainly kept."""
        results = complete(self.rules, self.results)
        counts = ", ".join(f"{number} {name}" for name, number in count(results).items() if number)
        engine = self.engine
        yield f"{engine.kind} engine {engine.name}: {judge(results)} ({counts})"
        for rule, result in zip(self.rules, results, strict=True):
            if result.outcome is not Outcome.PASSED:
                yield f"  {rule.id} {rule.level} {result.outcome}: {result.note}"


def write_report(report: Report, folder: Path) -> Path:
    """Write a report into a folder, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.engine.kind}-{report.engine.name}.json"
    path.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    return path


def _texts(values: Iterable[object]) -> dict[str, object]:
    return {"enum": [str(value) for value in values]}


_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


REPORT_SCHEMA: Mapping[str, object] = _object(
    schema={"const": SCHEMA_VERSION},
    kit=_TEXT,
    engine=_object(kind=_texts(Kind), name=_TEXT, distribution=_TEXT, version=_TEXT, target=_TEXT),
    python=_TEXT,
    platform=_TEXT,
    time=_TEXT,
    verdict=_texts(Verdict),
    counts=_object(**{outcome.value: _NUMBER for outcome in Outcome}),
    rules={
        "type": "array",
        "items": _object(
            id=_TEXT,
            level=_texts(("MUST", "SHOULD")),
            tier=_texts(("static", "hermetic", "live")),
            outcome=_texts(Outcome),
            note=_TEXT,
            story={"type": "array", "items": _TEXT},
            seconds={"type": "number", "minimum": 0},
        ),
    },
)
"""The JSON Schema of a report."""
