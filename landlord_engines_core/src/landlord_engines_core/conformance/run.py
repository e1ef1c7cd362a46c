"""Testing one rule of one engine."""

from time import monotonic

import attrs

from landlord_engines_core.conformance.rulebook import find_checks
from landlord_engines_core.conformance.rules import Rule
from landlord_engines_core.conformance.story import CannotRun, DoesNotApply, RuleBroken
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome, Result
from landlord_engines_core.conformance.waivers import Waiver, apply_waiver
from landlord_engines_core.errors import LandlordEnginesError

__all__ = ["check_rule"]


def check_rule(rule: Rule, subject: Subject, waiver: Waiver | None = None) -> Result:
    """Test one rule, and apply the engine's waiver of it."""
    began = monotonic()
    result = attrs.evolve(_check(rule, subject), seconds=monotonic() - began)
    return apply_waiver(rule, waiver, result)


def _check(rule: Rule, subject: Subject) -> Result:
    try:
        note = find_checks(subject.kind)[rule.id](subject)
    except RuleBroken as broken:
        return Result(rule=rule.id, outcome=Outcome.FAILED, note=str(broken), story=broken.story)
    except DoesNotApply as end:
        return Result(rule=rule.id, outcome=Outcome.NOT_APPLICABLE, note=str(end))
    except (CannotRun, LandlordEnginesError) as end:
        return Result(rule=rule.id, outcome=Outcome.COULD_NOT_RUN, note=str(end))
    return Result(rule=rule.id, outcome=Outcome.PASSED, note=note or "")
