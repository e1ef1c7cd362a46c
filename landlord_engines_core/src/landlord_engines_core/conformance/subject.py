"""The engine under test."""

from collections.abc import Callable, Mapping
from pathlib import Path

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
        settings: Its settings by key, as texts.
        folder: A folder for this test's files.
    """

    kind: Kind
    name: str
    folder: Path
    settings: Mapping[str, str] = attrs.field(factory=dict, repr=False)

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
