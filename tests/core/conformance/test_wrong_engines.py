"""The kit's own proof: a wrong engine for each rule fails at least that rule, and a right one fails none."""

from pathlib import Path

import pytest

from landlord_engines_core.conformance.rulebook import RULES, find_rule
from landlord_engines_core.conformance.rules import Kind, Rule, Tier
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_engines_core.errors import PluginNotInstalled
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


@pytest.mark.parametrize(
    ("engine", "rule", "outcome", "note"),
    [
        ("exits", "LOAD-1", Outcome.FAILED, "the import ended the process with exit code 0"),
        ("unimportable", "LOAD-1", Outcome.FAILED, "raised ModuleNotFoundError"),
        ("load-1", "VER-1", Outcome.COULD_NOT_RUN, "leads to no EngineFactory"),
        ("loose", "VER-2", Outcome.FAILED, "has no upper bound"),
        ("needs-a-path", "CFG-2", Outcome.PASSED, ""),
        ("needs-a-path", "LIFE-1", Outcome.COULD_NOT_RUN, "give the suite some (path is missing)"),
        ("keeps-a-secret", "CFG-3", Outcome.PASSED, "secrets: token"),
        ("secret-in-an-error", "CFG-3", Outcome.FAILED, "a secret of the settings is shown"),
        ("undeclared", "CAP-2", Outcome.FAILED, "make-latest is not declared in full"),
        ("undeclared-refused", "CAP-2", Outcome.PASSED, ""),
        ("slow-check", "LIFE-3", Outcome.FAILED, "check took 1."),
        ("stepfunctions", "LIFE-3", Outcome.PASSED, ""),
        ("stepfunctions", "SIG-1", Outcome.PASSED, ""),
        ("asks", "LIFE-1", Outcome.PASSED, ""),
    ],
)
def test_a_rules_test_tells_what_it_saw(
    engine: str, rule: str, outcome: Outcome, note: str, tmp_path: Path
) -> None:
    subject = Subject(kind=Kind.WORKER, name=engine, folder=tmp_path)

    result = check_rule(find_rule(Kind.WORKER, rule), subject)

    assert result.outcome is outcome, result
    assert note in result.note


def test_an_engine_that_is_not_installed_is_named(tmp_path: Path) -> None:
    subject = Subject(kind=Kind.COMPUTE, name="nothing", folder=tmp_path)

    with pytest.raises(PluginNotInstalled, match="compute engine 'nothing'"):
        subject.find()
