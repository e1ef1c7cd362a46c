"""Outcomes of rules, and the verdict on an engine."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import attrs

from landlord_engines_core.conformance.rules import Rule

__all__ = ["Outcome", "Result", "Verdict", "complete", "count", "judge"]


class Outcome(StrEnum):
    """Outcome of one rule."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    """The rule failed, and a waiver gives the reason."""
    NOT_APPLICABLE = "not-applicable"
    """The engine does not declare what the rule is about."""
    COULD_NOT_RUN = "could-not-run"
    """The rule's test did not run, or had nothing to run over."""


class Verdict(StrEnum):
    """Verdict on an engine."""

    NON_CONFORMANT = "non-conformant"
    INCOMPLETE = "incomplete"
    WITH_WAIVERS = "conformant with waivers"
    CONFORMANT = "conformant"

    @property
    def is_conformant(self) -> bool:
        """Whether the engine keeps every MUST."""
        return self in (Verdict.CONFORMANT, Verdict.WITH_WAIVERS)


@attrs.frozen(kw_only=True)
class Result:
    """Result of one rule.

    Attributes:
        note: One sentence for a person, for example the reason of a waiver.
        story: The events that led to a failure, oldest first.
        seconds: How long the test took.
    """

    rule: str
    outcome: Outcome
    note: str = ""
    story: tuple[str, ...] = ()
    seconds: float = 0.0


def complete(rules: Iterable[Rule], results: Mapping[str, Result]) -> list[Result]:
    """List a result for each rule; a rule without one could not run."""
    absent = "the test of this rule was not part of the run"
    return [
        results.get(rule.id, Result(rule=rule.id, outcome=Outcome.COULD_NOT_RUN, note=absent))
        for rule in rules
    ]


def judge(results: Collection[Result]) -> Verdict:
    """Judge an engine by the results of all rules."""
    outcomes = {result.outcome for result in results}
    if Outcome.FAILED in outcomes:
        return Verdict.NON_CONFORMANT
    if Outcome.COULD_NOT_RUN in outcomes or Outcome.PASSED not in outcomes:
        return Verdict.INCOMPLETE
    return Verdict.WITH_WAIVERS if Outcome.WAIVED in outcomes else Verdict.CONFORMANT


def count(results: Iterable[Result]) -> dict[str, int]:
    """Count the results of each outcome."""
    counts = Counter(result.outcome for result in results)
    return {outcome.value: counts[outcome] for outcome in Outcome}
