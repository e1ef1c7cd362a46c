"""A receiver of OpenTelemetry's protocol, which keeps the spans that it gets over HTTP."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_test_target.waiting import wait_for


@attrs.frozen(kw_only=True)
class ReceivedSpan:
    """One span, as the receiver decoded it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    service: str
    start: int
    end: int
    failed: bool
    message: str
    attributes: Mapping[str, str | int]


@attrs.define
class Receiver:
    """The receiver, and the spans and bytes that it got.

    Attributes:
        url: The value of ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        spans: All spans, in the order of their arrival.
        received: The bytes of all requests.
        headers: The headers of the last request.
    """

    url: str
    spans: list[ReceivedSpan] = attrs.field(factory=list)
    received: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def receive(self, request: Request) -> Response:
        self.received += request.get_data()
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        document = ExportTraceServiceRequest.FromString(request.get_data())
        for resource_spans in document.resource_spans:
            resource = _read_attributes(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                service = str(resource["service.name"])
                self.spans += [_read_span(span, service) for span in scope_spans.spans]
        return Response(ExportTraceServiceResponse().SerializeToString())

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        """Return the spans of a trace in the order of their starts."""
        spans = [span for span in self.spans if span.trace_id == trace_id]
        return sorted(spans, key=lambda span: span.start)

    async def wait_span(self, name: str, **attributes: str) -> ReceivedSpan:
        """Wait for a span with this name and these attributes, whose dots are underscores here."""
        expected = {key.replace("_", ".", 1): value for key, value in attributes.items()}.items()

        async def find_spans() -> Sequence[ReceivedSpan]:
            return [
                span
                for span in self.spans
                if span.name == name and expected <= span.attributes.items()
            ]

        return (await wait_for(find_spans))[0]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with HTTPServer(threaded=True) as server:
        receiver = Receiver(server.url_for("").rstrip("/"))
        server.expect_request("/v1/traces").respond_with_handler(receiver.receive)
        yield receiver


def _read_span(span: trace_pb2.Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=service,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=span.status.message,
        attributes=_read_attributes(span.attributes),
    )


def _read_attributes(pairs: Iterable[common_pb2.KeyValue]) -> Mapping[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in pairs}
