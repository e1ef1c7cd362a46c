"""Named points inside an engine's acts, between what is done on the target and what comes next.

A crash between two of them must leave a state from which the next attempt converges. An engine calls
its ``reached`` at each; tests put a function there that kills the process.
"""

from collections.abc import Callable

__all__ = ["Failpoint", "pass_by"]

Failpoint = Callable[[str], None]
"""Told the name of each point, for example ``create:spawned``."""


def pass_by(point: str) -> None:
    """Go on, as always outside of tests."""
