"""The log lines of an engine under test."""

import attrs

__all__ = ["Lines"]


@attrs.define
class Lines:
    """Logger that keeps its lines as texts."""

    texts: list[str] = attrs.field(factory=list)

    def debug(self, event: str, **values: object) -> None:
        """Keep a line."""
        # As text: a secret masks only its representation.
        self.texts += [event, *map(str, values.values())]

    info = warning = error = debug
