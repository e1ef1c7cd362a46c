"""The options before the subcommand. Nothing here imports an engine or the host."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from landlord_engines_core.errors import SettingsError

__all__ = ["Options", "read_assignment"]


@attrs.frozen(kw_only=True)
class Options:
    """The options before the subcommand.

    Attributes:
        engine: The worker engine's name, if given.
        config: The settings file, if given.
        values: Values of single settings, by path.
        fail_fast: Whether to give up if registering takes too long.
    """

    engine: str | None
    config: Path | None
    values: Mapping[str, str]
    fail_fast: bool

    def section(self, kind: str, name: str) -> dict[str, str]:
        """List the values of one engine's section, by key."""
        prefix = f"{kind}.{name}.".replace("-", "_")
        paths = {path.replace("-", "_"): value for path, value in self.values.items()}
        return {
            path.removeprefix(prefix): value
            for path, value in paths.items()
            if path.startswith(prefix)
        }


def read_assignment(text: str) -> tuple[str, str]:
    """Split the value of ``--set`` into path and value.

    Raises:
        SettingsError: The text has no value.
    """
    path, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(
            f"--set {path} has no value", hint="write it as --set worker.drain_timeout=1m"
        )
    return path.strip(), value
