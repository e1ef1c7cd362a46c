"""The engine under test."""

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import attrs

from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.errors import PluginNotInstalled
from landlord_engines_core.plugins import COMPUTE_ENGINES, WORKER_ENGINES, Candidate, list_engines

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
        for candidate in list_engines(self.group):
            if candidate.name == self.name:
                return candidate
        raise PluginNotInstalled(
            f"no installed distribution offers {self.kind} engine {self.name!r}",
            hint="install it in this environment",
        )

    def requirements(self) -> list[str]:
        """List what its distribution requires."""
        try:
            return requires(self.find().distribution) or []
        except PackageNotFoundError:
            return []


Check = Callable[[Subject], str | None]
"""Test of one rule. It returns a note for the report, or raises what `story` lists."""
