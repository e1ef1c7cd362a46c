"""The rules of a compute engine, as data. `docs/compute-contract.md` has the same table."""

from landlord_engines_core.conformance.rules import Rule

__all__ = ["COMPUTE_RULES"]

COMPUTE_RULES: tuple[Rule, ...] = ()
"""All rules, in the order of the document."""
