"""Logging: the interface that everything here logs through, and its set-up with structlog."""

from typing import Protocol

__all__ = ["Logger"]


class Logger(Protocol):
    """The few methods of a structured logger that an engine needs."""

    def debug(self, event: str, **values: object) -> None:
        """Log what only a developer wants to know."""

    def info(self, event: str, **values: object) -> None:
        """Log what happened."""

    def warning(self, event: str, **values: object) -> None:
        """Log what somebody should look at."""

    def error(self, event: str, **values: object) -> None:
        """Log what somebody must look at."""
