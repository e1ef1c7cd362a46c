"""One identifier is used by document, data, check and wrong engine."""

import re

import pytest

from landlord_engines_core.conformance.rulebook import RULES, find_checks
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.engine import Capability
from landlord_test_target.rule_tables import DOCUMENTS, read_reports, render, render_verdicts


@pytest.mark.parametrize("kind", Kind)
def test_each_rule_has_one_check_and_each_check_a_rule(kind: Kind) -> None:
    assert sorted(rule.id for rule in RULES[kind]) == sorted(find_checks(kind))


def test_an_id_is_a_family_and_a_number_and_names_one_rule() -> None:
    ids = [rule.id for rules in RULES.values() for rule in rules]

    assert len(ids) == len(set(ids))
    assert not [each for each in ids if not re.fullmatch(r"[A-Z]{2,5}-[1-9][0-9]?", each)]


@pytest.mark.parametrize("kind", Kind)
def test_the_document_has_each_rule_as_the_data_has_it(kind: Kind) -> None:
    assert render(kind) in DOCUMENTS[kind].read_text(encoding="utf-8")


def test_a_rules_capability_is_one_of_the_contracts() -> None:
    capabilities = {rule.capability for rule in RULES[Kind.WORKER] if rule.capability}

    assert capabilities <= {capability.value for capability in Capability}


@pytest.mark.parametrize("kind", Kind)
def test_a_rule_and_its_reason_are_sentences(kind: Kind) -> None:
    texts = [text for rule in RULES[kind] for text in (rule.text, rule.reason)]

    assert not [text for text in texts if not re.fullmatch(r"[A-Z`].*\.", text)]


@pytest.mark.parametrize("kind", Kind)
def test_the_verdicts_in_the_document_come_from_reports_of_all_rules(kind: Kind) -> None:
    reports = read_reports(kind)

    assert reports
    assert render_verdicts(kind) in DOCUMENTS[kind].read_text(encoding="utf-8")
    for report in reports:
        assert [rule["id"] for rule in report["rules"]] == [rule.id for rule in RULES[kind]]
