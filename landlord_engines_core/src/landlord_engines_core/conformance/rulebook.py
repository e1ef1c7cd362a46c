"""All rules with their checks."""

from collections.abc import Mapping

from landlord_engines_core.conformance.compute.checks import list_compute_checks
from landlord_engines_core.conformance.compute_rules import COMPUTE_RULES
from landlord_engines_core.conformance.hermetic import list_hermetic_checks
from landlord_engines_core.conformance.live.play import list_live_checks
from landlord_engines_core.conformance.rules import Kind, Rule
from landlord_engines_core.conformance.static import list_static_checks
from landlord_engines_core.conformance.subject import Check
from landlord_engines_core.conformance.worker_rules import WORKER_RULES

__all__ = ["RULES", "find_checks", "find_rule"]

RULES: Mapping[Kind, tuple[Rule, ...]] = {
    Kind.WORKER: WORKER_RULES,
    Kind.COMPUTE: COMPUTE_RULES,
}
"""The rules of each kind of engine."""


def find_rule(kind: Kind, rule_id: str) -> Rule:
    """Find a rule by its id.

    Raises:
        KeyError: There is no such rule.
    """
    return {rule.id: rule for rule in RULES[kind]}[rule_id]


def find_checks(kind: Kind) -> Mapping[str, Check]:
    """Find the check of each rule of a kind of engine, by the rule's id."""
    if kind is Kind.COMPUTE:
        return {**list_static_checks(kind), **list_compute_checks()}
    return {**list_static_checks(kind), **list_hermetic_checks(), **list_live_checks()}
