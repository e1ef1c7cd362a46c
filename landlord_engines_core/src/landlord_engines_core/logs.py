"""Logging: the interface of a logger, and its set-up with structlog."""

import logging
import sys
from contextlib import AbstractContextManager
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.log_repeats import Repeats
from landlord_engines_core.streams import LineWriter
from landlord_engines_core.tracing import current_trace_id

__all__ = ["Logger", "configure", "count_dropped_lines", "error_fields", "job_context"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def error_fields(error: Exception) -> dict[str, str]:
    """Make a log line's fields for an error: the reason, and the code if the error has one."""
    if not isinstance(error, LandlordEnginesError):
        return {"reason": str(error)}
    hint = f"; {error.hint}" if error.hint else ""
    return {"code": error.code, "reason": f"{error.message}{hint}"}


class Logger(Protocol):
    """Structured logger, with the methods that an engine needs."""

    def debug(self, event: str, **values: object) -> None:
        """Log a detail for developers."""

    def info(self, event: str, **values: object) -> None:
        """Log an event."""

    def warning(self, event: str, **values: object) -> None:
        """Log an event that somebody should look at."""

    def error(self, event: str, **values: object) -> None:
        """Log an event that somebody must look at."""


def job_context(*, tenant: str, operation: str, execution_id: str) -> AbstractContextManager[None]:
    """Add a job's ids to every line that is logged inside the context."""
    return bound_contextvars(tenant=tenant, operation=operation, execution_id=execution_id)


def _drop_traceback(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace the error of a library's log line by the name of its type."""
    # The error's text may quote a configuration.
    error = event.pop("exc_info", None)
    kind = error[0] if isinstance(error, tuple) else None
    return {**event, "error": kind.__name__} if kind is not None else event


def _add_trace_id(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add the id of the current job's trace, if there is one."""
    trace_id = current_trace_id()
    return {**event, "trace_id": trace_id} if trace_id else event


def _escape_controls(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters and line breaks, which a tenant's name may contain."""
    return {
        key: _escape(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def configure(*, level: str, form: str, color: bool = True) -> Logger:
    """Set up logging to standard error for the whole process; no caller waits for it.

    Args:
        level: The lowest level of this framework's lines: debug, info, warn or error. Libraries log
            warnings and errors.
        form: development or console, production or json, or auto: console on a terminal.
        color: Whether lines for a terminal may have colours.

    Returns:
        The logger.
    """
    stream = sys.stderr
    console = form in ("development", "console") or (form == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_traceback,
        structlog.processors.EventRenamer("message"),
    ]
    rendering: list[structlog.typing.Processor] = (
        [
            _escape_controls,
            structlog.dev.ConsoleRenderer(event_key="message", colors=color and stream.isatty()),
        ]
        if console
        else [structlog.processors.JSONRenderer(sort_keys=True)]
    )
    handler = LineWriter(stream.fileno())
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    # force: a library may have installed a handler while it was imported.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    own_logger = logging.getLogger("landlord_engines")
    own_logger.setLevel(_LEVELS[level])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logger: Logger = structlog.stdlib.get_logger("landlord_engines")
    return logger


def count_dropped_lines() -> int:
    """Count the lines that standard error did not accept so far."""
    writers = (item for item in logging.getLogger().handlers if isinstance(item, LineWriter))
    return sum(writer.dropped for writer in writers)
