import pytest

from landlord_engines_core.conformance.rules import Level, Rule, Tier
from landlord_engines_core.conformance.verdicts import (
    Outcome,
    Result,
    Verdict,
    complete,
    count,
    judge,
)
from landlord_engines_core.conformance.waivers import Waiver, apply_waiver


def rule(level: Level = Level.SHOULD) -> Rule:
    return Rule(id="LOAD-3", level=level, tier=Tier.STATIC, text="It is quick.", reason="Because.")


def result(outcome: Outcome) -> Result:
    return Result(rule="LOAD-3", outcome=outcome, note="as seen")


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ("passed", Verdict.CONFORMANT),
        ("passed not-applicable", Verdict.CONFORMANT),
        ("passed waived", Verdict.WITH_WAIVERS),
        ("passed waived could-not-run", Verdict.INCOMPLETE),
        ("passed could-not-run failed", Verdict.NON_CONFORMANT),
        ("not-applicable", Verdict.INCOMPLETE),
        ("", Verdict.INCOMPLETE),
    ],
)
def test_the_worst_outcome_decides_the_verdict(outcomes: str, verdict: Verdict) -> None:
    assert judge([result(Outcome(outcome)) for outcome in outcomes.split()]) is verdict


def test_only_an_engine_that_keeps_every_must_is_conformant() -> None:
    assert [verdict for verdict in Verdict if verdict.is_conformant] == [
        Verdict.WITH_WAIVERS,
        Verdict.CONFORMANT,
    ]


def test_a_rule_without_a_result_could_not_run() -> None:
    (absent,) = complete([rule()], {})

    assert absent.outcome is Outcome.COULD_NOT_RUN
    assert judge([absent]) is Verdict.INCOMPLETE
    assert count([absent])["could-not-run"] == 1


def test_a_waiver_covers_a_should_that_is_not_kept_and_gives_its_reason() -> None:
    waived = apply_waiver(rule(), Waiver("LOAD-3", "a large SDK"), result(Outcome.FAILED))

    assert (waived.outcome, waived.note) == (Outcome.WAIVED, "a large SDK")


@pytest.mark.parametrize(
    ("level", "reason", "outcome", "note"),
    [
        (Level.MUST, "a reason", Outcome.FAILED, "a MUST cannot be waived"),
        (Level.SHOULD, " ", Outcome.FAILED, "a waiver needs a reason"),
        (Level.SHOULD, "a reason", Outcome.PASSED, "not needed any more"),
        (Level.SHOULD, "a reason", Outcome.NOT_APPLICABLE, "not needed any more"),
    ],
)
def test_a_waiver_that_may_not_be_is_a_failure(
    level: Level, reason: str, outcome: Outcome, note: str
) -> None:
    judged = apply_waiver(rule(level), Waiver("LOAD-3", reason), result(outcome))

    assert judged.outcome is Outcome.FAILED
    assert note in judged.note


def test_a_waiver_does_not_change_what_could_not_run_nor_an_absent_one_anything() -> None:
    could_not = result(Outcome.COULD_NOT_RUN)

    assert apply_waiver(rule(), Waiver("LOAD-3", "a reason"), could_not) == could_not
    assert apply_waiver(rule(), None, could_not) == could_not
