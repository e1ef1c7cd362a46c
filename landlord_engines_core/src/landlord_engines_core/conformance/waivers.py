"""Waivers: reasons for which an engine does not keep a SHOULD."""

import attrs

from landlord_engines_core.conformance.rules import Level, Rule
from landlord_engines_core.conformance.verdicts import Outcome, Result

__all__ = ["Waiver", "apply_waiver"]


@attrs.frozen
class Waiver:
    """Reason for which an engine does not keep a rule.

    Attributes:
        rule: The id of a SHOULD.
        reason: The reason, for operators who read the report.
    """

    rule: str
    reason: str


def apply_waiver(rule: Rule, waiver: Waiver | None, result: Result) -> Result:
    """Apply a waiver to a rule's result.

    A waiver of a MUST, without a reason or for a rule that the engine keeps, is a failure of its own.
    """
    if waiver is None:
        return result
    if rule.level is Level.MUST:
        return _fail(result, "a MUST cannot be waived")
    if not waiver.reason.strip():
        return _fail(result, "a waiver needs a reason")
    if result.outcome is Outcome.FAILED:
        return attrs.evolve(result, outcome=Outcome.WAIVED, note=waiver.reason)
    if result.outcome is Outcome.COULD_NOT_RUN:
        return result
    return _fail(result, "the waiver is not needed any more: remove it")


def _fail(result: Result, note: str) -> Result:
    return attrs.evolve(result, outcome=Outcome.FAILED, note=note)
