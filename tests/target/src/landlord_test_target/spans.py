"""Spans in memory, and the receiver's view of a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from landlord_engines_core import tracing
from landlord_engines_core.open_telemetry import Recorder

PARENT = 0xB7AD6B7169203331
TRACE = 0x0AF7651916CD43DD8448EB211C80319C
TRACEPARENT = f"00-{TRACE:032x}-{PARENT:016x}-01"


@contextmanager
def recorded_spans() -> Iterator[InMemorySpanExporter]:
    """Record spans in memory, for all modules."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing._recorder = Recorder(provider)
    try:
        yield exporter
    finally:
        tracing._recorder = None


def names(exporter: InMemorySpanExporter) -> list[str]:
    """List the names of the exported spans, in the order of their ends."""
    return [span.name for span in exporter.get_finished_spans()]


def find(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    """Return the only span of this name."""
    (span,) = (span for span in exporter.get_finished_spans() if span.name == name)
    return span


def span_id(span: ReadableSpan) -> int:
    """Return the id of a span."""
    assert span.context is not None
    return int(span.context.span_id)


def trace_id(span: ReadableSpan) -> int:
    """Return the id of a span's trace."""
    assert span.context is not None
    return int(span.context.trace_id)
