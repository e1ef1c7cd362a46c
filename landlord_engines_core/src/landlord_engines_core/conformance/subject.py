"""The engine under test."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.catalog import (
    COMPUTE_ENGINES,
    WORKER_ENGINES,
    Candidate,
    read_catalog,
)
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.errors import PluginNotInstalled

__all__ = ["Check", "Subject"]

CORE = "landlord-engines-core"


@attrs.frozen(kw_only=True)
class Subject:
    """The engine under test, found as the host finds it.

    Attributes:
        name: The name of its entry point.
        settings: Its settings by key; those of a worker engine are texts.
        folder: A folder for this test's files.
        patience: Seconds after which an event that has to come counts as missing.
        target: The author's view of a compute engine's target, if the suite gives one.
    """

    kind: Kind
    name: str
    folder: Path
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    patience: float = 60.0
    target: Any = attrs.field(default=None, repr=False)

    @property
    def group(self) -> str:
        """The group of its entry point."""
        return WORKER_ENGINES if self.kind is Kind.WORKER else COMPUTE_ENGINES

    def find(self) -> Candidate:
        """Find the installed engine.

        Raises:
            PluginNotInstalled: No distribution offers it.
        """
        for candidate in read_catalog().in_group(self.group):
            if candidate.is_called(self.name):
                return candidate
        raise PluginNotInstalled(
            f"no installed distribution offers {self.kind} engine {self.name!r}",
            hint="install it in this environment",
        )

    def requirements(self) -> list[str]:
        """List what its distribution requires."""
        return getattr(self.find().entry_point.dist, "requires", None) or []


Check = Callable[[Subject], str | None]
"""Test of one rule. It returns a note for the report, or raises what `story` lists."""
