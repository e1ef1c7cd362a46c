"""A rule of a contract, as data. The documents, the tests, the errors and the waivers use its id."""

from enum import StrEnum

import attrs

__all__ = ["Kind", "Level", "Rule", "Tier"]


class Kind(StrEnum):
    """Kind of an engine."""

    WORKER = "worker"
    COMPUTE = "compute"

    @property
    def section(self) -> str:
        """The section of the settings that has the engine's own."""
        return "workflow" if self is Kind.WORKER else "compute"


class Level(StrEnum):
    """Weight of a rule. Only a SHOULD can be waived."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Tier(StrEnum):
    """Needs of a rule's test."""

    STATIC = "static"
    """The test imports the engine in a process of its own, and reads metadata."""
    HERMETIC = "hermetic"
    """The test creates the engine in one process, without its backend or target."""
    LIVE = "live"
    """The test runs the engine in several processes, with its backend or target."""


@attrs.frozen(kw_only=True)
class Rule:
    """A rule of a contract.

    Attributes:
        id: The family and a number. It never changes, and a stricter rule gets another one.
        text: One sentence.
        reason: Why the rule exists, in one sentence.
        capability: The capability that brings the rule; empty for every engine.
    """

    id: str
    level: Level
    tier: Tier
    text: str
    reason: str
    capability: str = ""
