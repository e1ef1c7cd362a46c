"""Traces of jobs: the functions by which all other modules record spans.

OpenTelemetry records them, see `open_telemetry`. Without its extra, or without a variable that asks for
traces, nothing of it is imported, and the functions here do nothing.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from landlord_engines_core.errors import LandlordEnginesError

if TYPE_CHECKING:
    from landlord_engines_core.open_telemetry import Recorder

__all__ = [
    "Attributes",
    "JobTrace",
    "annotate",
    "continue_trace",
    "current_trace_id",
    "outgoing_headers",
    "start_export",
    "stop_export",
    "trace_job",
    "trace_span",
]

Attributes = Mapping[str, str | int]

_SWITCHES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Variables of OpenTelemetry, each of which asks for traces."""

_recorder: "Recorder | None" = None


class JobTrace(Protocol):
    """The trace of one job."""

    def end(
        self,
        name: str,
        attributes: Attributes,
        *,
        started_at: str = "",
        error: LandlordEnginesError | None = None,
    ) -> None:
        """Record the whole job; see `open_telemetry.JobSpan.end`."""


class _NoTrace:
    """The trace of a job that nobody records."""

    def end(self, *_: object, **__: object) -> None:
        """Record nothing."""


_NO_TRACE: AbstractContextManager[JobTrace] = nullcontext(_NoTrace())
_NO_SPAN: AbstractContextManager[None] = nullcontext()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def start_export() -> bool:
    """Export spans from now on, if the environment's variables OTEL_* ask for it.

    Returns:
        Whether everything that the variables need is installed.

    Raises:
        SettingsError: A variable has no valid value, or names an exporter that is not installed.
    """
    global _recorder  # noqa: PLW0603  # spans of all modules go to the one recorder of the process
    environment = os.environ  # noqa: TID251  # OpenTelemetry's SDK reads its variables there too
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_disabled or not any(environment.get(name) for name in _SWITCHES):
        return True
    try:
        from landlord_engines_core import open_telemetry  # noqa: PLC0415  # its extra is optional
    except ModuleNotFoundError:
        return False
    _recorder = open_telemetry.create_recorder()
    return True


async def stop_export(deadline: float) -> bool:
    """Export the remaining spans, and record no more.

    Args:
        deadline: The loop's time until which this may take.

    Returns:
        Whether no span is left.
    """
    global _recorder
    recorder, _recorder = _recorder, None
    return recorder is None or await recorder.close(deadline)


def continue_trace(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Let the jobs in this context belong to the trace of a request.

    A job that belongs to none gets a trace whose id follows from its execution id.

    Args:
        headers: The request's headers, whose names are in lower case; ``traceparent`` is read
            (https://www.w3.org/TR/trace-context/).
    """
    return _NO_SPAN if _recorder is None else _recorder.continue_trace(headers)


def trace_job(execution_id: str) -> AbstractContextManager[JobTrace]:
    """Let the spans in this context belong to a job. All attempts of a job have the same trace."""
    return _NO_TRACE if _recorder is None else _recorder.job(execution_id)


def trace_span(
    name: str, attributes: Attributes, *, is_request: bool = False
) -> AbstractContextManager[None]:
    """Record a span for the time in this context, if it is in a job.

    An error that leaves the context is recorded by its code and message, or, unless it is core's, by
    its type.

    Args:
        name: The name, out of a fixed set.
        attributes: What the span is about; never a value of a configuration.
        is_request: Whether the span is a request to another program.
    """
    if _recorder is None:
        return _NO_SPAN
    return _recorder.span(name, attributes, is_request=is_request)


def annotate(attributes: Attributes) -> None:
    """Add attributes to the current span."""
    if _recorder is not None:
        _recorder.annotate(attributes)


def outgoing_headers() -> Mapping[str, str]:
    """Return the headers that let another program continue the current trace."""
    return _NO_HEADERS if _recorder is None else _recorder.outgoing_headers()


def current_trace_id() -> str:
    """Return the id of the current job's trace in hex; empty outside of a job, or without traces."""
    return "" if _recorder is None else _recorder.current_trace_id()
