"""Results as texts, which pytest-xdist sends from its workers to the controller, and reports of them."""

import json
from collections.abc import Iterable, Iterator

import attrs

from landlord_engines_core.conformance.report import Engine, Report
from landlord_engines_core.conformance.rulebook import RULES
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.verdicts import Outcome, Result

__all__ = ["build_reports", "write_result"]


def write_result(engine: Engine, result: Result) -> str:
    """Write an engine's result as a text."""
    return json.dumps([attrs.asdict(engine), attrs.asdict(result)])


def build_reports(texts: Iterable[str]) -> Iterator[Report]:
    """Build a report for each engine from the results in the texts."""
    results: dict[Engine, dict[str, Result]] = {}
    for text in texts:
        engine, result = _read_result(text)
        results.setdefault(engine, {})[result.rule] = result
    for engine, of_rules in results.items():
        yield Report(engine=engine, rules=RULES[engine.kind], results=of_rules)


def _read_result(text: str) -> tuple[Engine, Result]:
    engine, result = json.loads(text)
    engine["kind"], result["outcome"] = Kind(engine["kind"]), Outcome(result["outcome"])
    result["story"] = tuple(result["story"])
    return Engine(**engine), Result(**result)
