"""Spans of jobs, recorded with OpenTelemetry; the only module that imports it.

It needs the extra ``otel``, and `tracing` imports it only for a worker that exports spans. OpenTelemetry's
SDK reads its standard variables itself
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

import asyncio
import atexit
import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import datetime
from time import time_ns

import attrs
from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach
from opentelemetry.environment_variables import (
    OTEL_LOGS_EXPORTER,
    OTEL_METRICS_EXPORTER,
    OTEL_TRACES_EXPORTER,
)
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_PROTOCOL
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    format_trace_id,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)

from landlord_engines_core import __version__
from landlord_engines_core.errors import (
    LandlordEnginesError,
    Queued,
    SettingsError,
    StillRunning,
    Superseded,
)
from landlord_engines_core.threads import start_thread, without_signals

__all__ = ["JobSpan", "Recorder", "create_recorder"]

_environment = os.environ  # noqa: TID251  # the SDK reads its variables there

_SERVICE = "landlord-worker"
"""Name of the service if no variable names it."""

_DEFAULTS = {OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf"}
"""The specification's defaults. The SDK leaves them to whoever configures it."""

_ONLY_TRACES = {OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none"}
"""Variables that keep the SDK from an export of its metrics and logs, which no drain would bound."""

_MAX_JOBS = 2_000
"""Jobs whose span is kept between their attempts; a killed job never ends."""

_NO_FAILURES = (Queued, StillRunning, Superseded)
"""Errors that end an attempt although nothing failed."""

_derived_from: ContextVar[str] = ContextVar("derived_from", default="")
"""The execution whose job span is started at this moment."""


class _Configurator(_OTelSDKConfigurator):
    """Builds the SDK's parts from the environment, as a distribution of OpenTelemetry does."""


class _DerivedIds(RandomIdGenerator):
    """Generates random ids, but derives those of a job's span from its execution id."""

    # All attempts of a job, in any process, so have the same job span and trace.

    def generate_trace_id(self) -> int:
        """Generate the id of a trace that nobody began before the job."""
        return _derive_id(16) or super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Generate the id of a span."""
        return _derive_id(8) or super().generate_span_id()


def _derive_id(size: int) -> int:
    """Derive an id of this size in bytes; 0 outside of the start of a job's span."""
    execution_id = _derived_from.get()
    if not execution_id:
        return 0
    digest = hashlib.sha256(execution_id.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:size])


def create_recorder() -> "Recorder":
    """Create the recorder that the variables OTEL_* describe.

    A provider that was set up before, for example by ``opentelemetry-instrument``, is used as it is.

    Raises:
        SettingsError: A variable has no valid value, or names what is not installed.
    """
    if not isinstance(get_tracer_provider(), TracerProvider):
        _configure_sdk()
    provider = get_tracer_provider()
    assert isinstance(provider, TracerProvider), "the configurator sets it"
    # At the interpreter's exit, the provider would wait for its receiver once more.
    atexit.unregister(provider.shutdown)
    return Recorder(provider)


def _configure_sdk() -> None:
    _environment.update(
        {name: value for name, value in _DEFAULTS.items() if not _environment.get(name)}
    )
    try:
        with without_signals(), _replaced_variables(_ONLY_TRACES):
            _Configurator().configure(  # type: ignore[no-untyped-call]  # the SDK has no types here
                resource_attributes=_default_service()
            )
    except (ImportError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"the traces cannot be exported: {error}",
            hint="correct the variables OTEL_*, or unset them to export nothing",
        ) from error


@contextmanager
def _replaced_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace variables of the environment in this context: they may be for other programs."""
    before = {name: _environment[name] for name in variables if name in _environment}
    _environment.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del _environment[name]
        _environment.update(before)


def _default_service() -> Mapping[str, str]:
    """Return the service's name as an attribute, unless a variable names the service."""
    # An attribute that is passed to the SDK has priority over the variables.
    resource_name = str(Resource.create().attributes[SERVICE_NAME])
    return {SERVICE_NAME: _SERVICE} if resource_name.startswith("unknown_service") else {}


class Recorder:
    """Records the spans of jobs, and exports them in threads of the SDK.

    A span is recorded only inside of a job: checks that a worker repeats would fill the receiver.
    """

    def __init__(self, provider: TracerProvider) -> None:
        provider.id_generator = _DerivedIds()
        self._provider = provider
        self._jobs: OrderedDict[str, tuple[Span, int]] = OrderedDict()
        self._tracer = provider.get_tracer("landlord-engines", __version__)

    @contextmanager
    def continue_trace(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Let the jobs in this context belong to the trace that the headers name."""
        token = attach(propagate.extract(headers, Context()))
        try:
            yield
        finally:
            detach(token)

    @contextmanager
    def job(self, execution_id: str) -> Iterator["JobSpan"]:
        """Let the spans in this context belong to a job."""
        job = JobSpan(recorder=self, execution_id=execution_id)
        token = attach(set_span_in_context(self._open_job(execution_id)))
        try:
            yield job
        finally:
            detach(token)

    def _open_job(self, execution_id: str) -> Span:
        """Return the span that gives the other spans of a job their parent.

        It is never ended nor exported: only the attempt that ends the job knows its result.
        """
        if execution_id not in self._jobs:
            # Restate enters a job's handler again after each step, and each time a new span would cost.
            self._jobs[execution_id] = self.start_job(execution_id, "job"), time_ns()
            while len(self._jobs) > _MAX_JOBS:
                self._jobs.popitem(last=False)
        span, _ = self._jobs[execution_id]
        return span

    def take_start(self, execution_id: str, started_at: str) -> int:
        """Return the time in nanoseconds at which a job began, in this process or before.

        The job's record has the time at which its first step ended; this process may know an earlier one.
        """
        now = time_ns()
        _, seen = self._jobs.pop(execution_id, (None, now))
        return min(seen, _read_time(started_at) if started_at else now)

    def start_job(
        self,
        execution_id: str,
        name: str,
        *,
        parent: Context | None = None,
        start_time: int | None = None,
    ) -> Span:
        """Start the span of a job, whose ids are the same at each call."""
        token = _derived_from.set(execution_id)
        try:
            return self._tracer.start_span(
                name, parent, kind=SpanKind.CONSUMER, start_time=start_time
            )
        finally:
            _derived_from.reset(token)

    def span(
        self, name: str, attributes: Mapping[str, str | int], *, is_request: bool
    ) -> AbstractContextManager[None]:
        """Record a span for the time in this context, unless it is outside of a job."""
        if not get_current_span().get_span_context().is_valid:
            return nullcontext()
        return self._record(name, attributes, is_request=is_request)

    @contextmanager
    def _record(
        self, name: str, attributes: Mapping[str, str | int], *, is_request: bool
    ) -> Iterator[None]:
        span = self._tracer.start_span(
            name,
            kind=SpanKind.CLIENT if is_request else SpanKind.INTERNAL,
            attributes=_encodable(attributes),
        )
        token = attach(set_span_in_context(span))
        try:
            yield
        except BaseException as error:
            _mark_failed(span, error)
            raise
        finally:
            detach(token)
            span.end()

    def annotate(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes to the current span."""
        get_current_span().set_attributes(_encodable(attributes))

    def outgoing_headers(self) -> Mapping[str, str]:
        """Return the headers of a request that belongs to the current span."""
        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    def current_trace_id(self) -> str:
        """Return the id of the current trace in hex; empty outside of a job."""
        context = get_current_span().get_span_context()
        return format_trace_id(context.trace_id) if context.is_valid else ""

    async def close(self, deadline: float) -> bool:
        """Export the remaining spans.

        Args:
            deadline: The loop's time at which nobody waits any more.

        Returns:
            Whether the spans were handed over in time, which a receiver may still refuse.
        """
        loop, exported = asyncio.get_running_loop(), asyncio.Event()

        def export_rest() -> None:
            self._provider.shutdown()
            # The loop may be closed by now, and then nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(exported.set)

        # A thread of the loop's executor would delay the end of the process.
        start_thread("last-spans", export_rest)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await exported.wait()
        return exported.is_set()


@attrs.frozen(kw_only=True)
class JobSpan:
    """The span of one job, from its start to its end in any process."""

    recorder: Recorder
    execution_id: str
    _parent: Context = attrs.field(factory=lambda: set_span_in_context(get_current_span()))

    def end(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        started_at: str = "",
        error: LandlordEnginesError | None = None,
    ) -> None:
        """Export the span.

        An attempt that Restate repeats exports it again with the same ids.

        Args:
            name: The span's name.
            attributes: The span's attributes.
            started_at: RFC 3339 text, or empty.
            error: Why the job ended without having done its work.
        """
        start = self.recorder.take_start(self.execution_id, started_at)
        span = self.recorder.start_job(
            self.execution_id, name, parent=self._parent, start_time=start
        )
        span.set_attributes(_encodable(attributes))
        if error is not None:
            _mark_failed(span, error)
        span.end()


def _mark_failed(span: Span, error: BaseException) -> None:
    """Add an error to a span: its code and message, or only its type."""
    # The text of an error that is not core's may contain values of a configuration.
    if not isinstance(error, LandlordEnginesError):
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
        return
    span.set_attribute("error.type", error.code)
    if not isinstance(error, _NO_FAILURES):
        span.set_status(StatusCode.ERROR, error.message)


def _encodable(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    """Escape half a surrogate pair, for which the exporter would drop a whole batch of spans."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in attributes.items()
    }


def _read_time(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e9)
