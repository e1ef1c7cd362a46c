"""The kit's own proof: a wrong engine for each rule fails at least that rule, and a right one fails none."""

from pathlib import Path

import pytest

from landlord_engines_core.conformance.catalogue import RULES, find_rule
from landlord_engines_core.conformance.rules import Kind, Rule, Tier
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_test_target.wrong_engines.worker import RIGHT, WRONG

NOT_LIVE = [rule for rule in RULES[Kind.WORKER] if rule.tier is not Tier.LIVE]

OPTIONAL = {"CFG-3"}
"""Rules that do not apply to the right engine: its settings have no secret."""


def name(rule: Rule) -> str:
    return rule.id


def test_there_is_a_wrong_engine_for_each_rule_and_no_other() -> None:
    assert set(WRONG) == {rule.id for rule in RULES[Kind.WORKER]}


@pytest.mark.parametrize("rule", NOT_LIVE, ids=name)
def test_a_wrong_engine_fails_its_rule(rule: Rule, tmp_path: Path) -> None:
    subject = Subject(kind=Kind.WORKER, name=rule.id.lower(), folder=tmp_path)

    result = check_rule(rule, subject)

    assert result.outcome is Outcome.FAILED, result
    assert result.note


@pytest.mark.parametrize("rule", NOT_LIVE, ids=name)
def test_the_right_engine_keeps_the_rule(rule: Rule, tmp_path: Path) -> None:
    result = check_rule(rule, Subject(kind=Kind.WORKER, name=RIGHT, folder=tmp_path))

    expected = Outcome.NOT_APPLICABLE if rule.id in OPTIONAL else Outcome.PASSED
    assert result.outcome is expected, result


def test_a_rule_is_found_by_its_id() -> None:
    assert find_rule(Kind.WORKER, "LOAD-1").id == "LOAD-1"
