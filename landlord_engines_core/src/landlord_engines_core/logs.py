"""Logging: the interface that everything here logs through, and its set-up with structlog."""

import logging
import sys
from contextlib import AbstractContextManager
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.log_repeats import Repeats
from landlord_engines_core.streams import LineWriter

__all__ = ["Logger", "configure", "dropped_lines", "flush", "job_context", "told"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def told(error: Exception) -> dict[str, str]:
    """The fields by which a log line tells an error: why, and the code of one of ours."""
    if not isinstance(error, LandlordEnginesError):
        return {"reason": str(error)}
    hint = f"; {error.hint}" if error.hint else ""
    return {"code": error.code, "reason": f"{error.message}{hint}"}


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


def _without_traceback(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Name the error of a library's log line by its type: its text may quote a configuration."""
    error = event.pop("exc_info", None)
    kind = error[0] if isinstance(error, tuple) else None
    return {**event, "error": kind.__name__} if kind is not None else event


def _on_one_line(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape what a terminal obeys or takes for another line: a tenant may be named anything."""
    return {
        key: _printable(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def configure(*, level: str, form: str, color: bool = True) -> Logger:
    """Set logging up for the whole process, on standard error; nobody who logs waits for it.

    Ours is logged from ``level`` on, the libraries' from warnings on.

    Args:
        level: debug, info, warn or error.
        form: development or console, production or json, or auto: console on a terminal.
        color: Whether a terminal may be written to in colours.

    Returns:
        The logger to pass on.
    """
    stream = sys.stderr
    console = form in ("development", "console") or (form == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
        structlog.processors.EventRenamer("message"),
    ]
    rendering: list[structlog.typing.Processor] = (
        [
            _on_one_line,
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
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    ours = logging.getLogger("landlord_engines")
    ours.setLevel(_LEVELS[level])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logger: Logger = structlog.stdlib.get_logger("landlord_engines")
    return logger


def dropped_lines() -> int:
    """How many lines standard error did not take so far."""
    return sum(one.dropped for one in logging.getLogger().handlers if isinstance(one, LineWriter))


def flush() -> None:
    """Wait a moment for the lines of before to be written."""
    for handler in logging.getLogger().handlers:
        handler.flush()
