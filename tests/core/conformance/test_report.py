import json
from pathlib import Path

from jsonschema import Draft202012Validator

from landlord_engines_core.conformance.collecting import build_reports, write_result
from landlord_engines_core.conformance.report import REPORT_SCHEMA, Engine, write_report
from landlord_engines_core.conformance.rulebook import RULES
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.verdicts import Outcome, Result, Verdict

ENGINE = Engine(kind=Kind.WORKER, name="mine", distribution="d", version="1", target="mine:factory")


def texts(outcome: Outcome) -> list[str]:
    rules = RULES[Kind.WORKER]
    return [
        write_result(ENGINE, Result(rule=rule.id, outcome=outcome, note="n", story=("a", "b")))
        for rule in rules
    ]


def test_a_report_has_the_form_of_its_schema_and_each_rule(tmp_path: Path) -> None:
    (report,) = build_reports(texts(Outcome.PASSED))

    path = write_report(report, tmp_path / "reports")

    document = json.loads(path.read_text())
    Draft202012Validator.check_schema(REPORT_SCHEMA)
    Draft202012Validator(REPORT_SCHEMA).validate(document)
    assert path.name == "worker-mine.json"
    assert document["verdict"] == "conformant"
    assert [each["id"] for each in document["rules"]] == [rule.id for rule in RULES[Kind.WORKER]]
    assert document["rules"][0]["story"] == ["a", "b"]


def test_a_run_of_a_part_of_the_rules_is_incomplete_and_says_which_did_not_run() -> None:
    (report,) = build_reports(texts(Outcome.PASSED)[:3])

    lines = list(report.lines())

    assert report.verdict is Verdict.INCOMPLETE
    assert lines[0].startswith("worker engine mine: incomplete (3 passed, ")
    assert len(lines) == 1 + len(RULES[Kind.WORKER]) - 3


def test_two_engines_of_one_run_get_a_report_each() -> None:
    other = Engine(kind=Kind.WORKER, name="other")
    result = Result(rule="LOAD-1", outcome=Outcome.FAILED)

    reports = list(build_reports([*texts(Outcome.PASSED), write_result(other, result)]))

    assert [report.verdict for report in reports] == [Verdict.CONFORMANT, Verdict.NON_CONFORMANT]
