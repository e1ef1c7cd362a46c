"""Logging: the interface that everything here logs through, and its set-up with structlog."""

from contextlib import AbstractContextManager
from typing import Protocol

from structlog.contextvars import bound_contextvars

__all__ = ["Logger", "job_context"]


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


def job_context(*, tenant: str, operation: str, execution_id: str) -> AbstractContextManager[None]:
    """Put a job's ids on every line that is logged inside, whoever logs it."""
    return bound_contextvars(tenant=tenant, operation=operation, execution_id=execution_id)
