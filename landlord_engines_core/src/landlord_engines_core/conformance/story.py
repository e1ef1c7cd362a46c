"""How a rule's test ends early: the rule is broken, does not apply, or cannot be tested."""

__all__ = ["CannotRun", "DoesNotApply", "RuleBroken"]


class DoesNotApply(Exception):  # not an error: the engine does not declare what the rule is about
    """The rule does not apply to this engine."""


class CannotRun(Exception):  # the report shows it, with the reason
    """The rule's test cannot run, or has nothing to run over."""


class RuleBroken(AssertionError):
    """The engine breaks the rule.

    Attributes:
        story: The events that show it, oldest first.
    """

    def __init__(self, problem: str, *story: str) -> None:
        super().__init__(problem)
        self.story = story
