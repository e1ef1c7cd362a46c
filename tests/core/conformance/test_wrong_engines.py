"""The kit's own proof: a wrong engine for each rule fails at least that rule, and a right one fails none."""

from pathlib import Path

import attrs
import pytest

from landlord_engines_core.conformance.rulebook import RULES, find_rule
from landlord_engines_core.conformance.rules import Kind, Rule, Tier
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_engines_core.errors import PluginNotInstalled
from landlord_test_target.wrong_engines.worker import RIGHT, WRONG

SETTINGS = {"lease": "1s"}
"""The settings of the engine, for the live tier."""

SHORT, LONG = 8.0, 60.0
"""Seconds in which an expected event counts as late: short where a rule's test ends with the lack of one."""

SLOW = {"JOB-6", "JOB-11", "LOCK-4", "RSY-3", "DRAIN-4"}
"""Rules whose wrong engine is noticed because something does not come."""

NOT_LIVE = [rule for rule in RULES[Kind.WORKER] if rule.tier is not Tier.LIVE]
LIVE = [rule for rule in RULES[Kind.WORKER] if rule.tier is Tier.LIVE]
WRONG_LIVE = [
    pytest.param(rule, marks=pytest.mark.long if rule.id in SLOW else (), id=rule.id)
    for rule in LIVE
]


def name(rule: Rule) -> str:
    return rule.id


def subject(engine: str, folder: Path, patience: float = LONG) -> Subject:
    return Subject(
        kind=Kind.WORKER, name=engine, folder=folder, settings=SETTINGS, patience=patience
    )


def test_there_is_a_wrong_engine_for_each_rule_and_no_other() -> None:
    assert set(WRONG) == {rule.id for rule in RULES[Kind.WORKER]}


@pytest.mark.parametrize("rule", NOT_LIVE, ids=name)
def test_a_wrong_engine_fails_its_rule(rule: Rule, tmp_path: Path) -> None:
    result = check_rule(rule, Subject(kind=Kind.WORKER, name=rule.id.lower(), folder=tmp_path))

    assert result.outcome is Outcome.FAILED, result
    assert result.note


@pytest.mark.parametrize("rule", NOT_LIVE, ids=name)
def test_the_right_engine_keeps_the_rule(rule: Rule, tmp_path: Path) -> None:
    result = check_rule(rule, Subject(kind=Kind.WORKER, name=RIGHT, folder=tmp_path))

    assert result.outcome is Outcome.PASSED, result


@pytest.mark.parametrize("rule", WRONG_LIVE)
def test_a_wrong_engine_fails_its_rule_live_and_the_story_is_reported(
    rule: Rule, tmp_path: Path
) -> None:
    patience = SHORT if rule.id in SLOW else LONG
    result = check_rule(rule, subject(rule.id.lower(), tmp_path, patience))

    assert result.outcome is Outcome.FAILED, result
    assert result.story


@pytest.mark.parametrize("rule", LIVE, ids=name)
def test_the_right_engine_keeps_the_rule_live(rule: Rule, tmp_path: Path) -> None:
    # On a busy machine the engine may be a second late, and would lose a shorter lease.
    right = attrs.evolve(subject(RIGHT, tmp_path), settings={"lease": "4s"})
    result = check_rule(rule, right)

    assert result.outcome is Outcome.PASSED, "\n".join((result.note, *result.story))


@pytest.mark.parametrize(
    ("engine", "rule", "outcome", "note"),
    [
        ("exits", "LOAD-1", Outcome.FAILED, "the import ended the process with exit code 0"),
        ("unimportable", "LOAD-1", Outcome.FAILED, "raised ModuleNotFoundError"),
        ("load-1", "VER-1", Outcome.COULD_NOT_RUN, "leads to no factory"),
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
        ("stepfunctions", "CFG-3", Outcome.NOT_APPLICABLE, "no field of type Secret"),
        ("asks", "LIFE-1", Outcome.PASSED, ""),
        ("stepfunctions", "JOB-3", Outcome.COULD_NOT_RUN, "the engine has no local backend"),
        ("load-1", "JOB-3", Outcome.COULD_NOT_RUN, "the engine cannot be loaded: LE205"),
        ("load-1", "LIFE-1", Outcome.COULD_NOT_RUN, "the engine cannot be loaded: LE205"),
        ("unjournaled", "JOB-14", Outcome.NOT_APPLICABLE, "does not declare journal in full"),
        ("single", "LOCK-1", Outcome.PASSED, "1 workers, "),
        ("alone", "LOCK-1", Outcome.FAILED, "a second worker neither serves nor is refused"),
        ("forgetful", "JOB-3", Outcome.FAILED, "the backend does not know the execution"),
        ("follows-another", "RSY-2", Outcome.FAILED, "was called with another job"),
    ],
)
def test_a_rules_test_says_what_it_saw(
    engine: str, rule: str, outcome: Outcome, note: str, tmp_path: Path
) -> None:
    tested = Subject(kind=Kind.WORKER, name=engine, folder=tmp_path)

    result = check_rule(find_rule(Kind.WORKER, rule), tested)

    assert result.outcome is outcome, result
    assert note in result.note


def test_a_job_may_wait_for_a_worker_that_stands_still(tmp_path: Path) -> None:
    patient = attrs.evolve(subject(RIGHT, tmp_path), settings={"lease": "60s"})

    result = check_rule(find_rule(Kind.WORKER, "LOCK-8"), patient)

    assert result.outcome is Outcome.PASSED, result
    assert result.note == "the job waited for the worker"


@pytest.mark.long
def test_an_engine_that_does_not_hear_of_kills_is_noticed(tmp_path: Path) -> None:
    result = check_rule(find_rule(Kind.WORKER, "JOB-13"), subject("deaf", tmp_path, SHORT))

    assert result.outcome is Outcome.FAILED


def test_an_engine_that_is_not_installed_is_named(tmp_path: Path) -> None:
    absent = Subject(kind=Kind.COMPUTE, name="nothing", folder=tmp_path)

    with pytest.raises(PluginNotInstalled, match="compute engine 'nothing'"):
        absent.find()
