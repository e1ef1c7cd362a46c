import asyncio
import os
import signal
import threading
from collections import Counter

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode
from opentelemetry.util._once import Once

from landlord_engines_core import open_telemetry
from landlord_engines_core.errors import Held, SettingsError, Superseded
from landlord_engines_core.open_telemetry import Recorder, create_recorder
from landlord_test_target.otlp import running_receiver
from landlord_test_target.spans import (
    PARENT,
    TRACE,
    TRACEPARENT,
    find,
    names,
    span_id,
    trace_id,
)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def recorder(exporter: InMemorySpanExporter) -> Recorder:
    return build_recorder(exporter)


def build_recorder(exporter: SpanExporter) -> Recorder:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Recorder(provider)


@pytest.fixture
def no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's provider, of which a process has one, as before its first use."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        # Set and deleted, so that the defaults that the code sets are deleted after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_spans_of_a_job_belong_to_the_trace_of_its_request(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.continue_trace({"traceparent": TRACEPARENT}), recorder.job("inv_1") as job:
        with recorder.span("step apply", {"a": 1}, is_request=False):
            pass
        job.end("job provision", {"landlord.outcome": "created"})

    step, whole = find(exporter, "step apply"), find(exporter, "job provision")
    assert trace_id(step) == trace_id(whole) == TRACE
    assert whole.parent is not None
    assert whole.parent.span_id == PARENT
    assert step.parent is not None
    assert step.parent.span_id == span_id(whole)


def test_a_job_without_such_a_request_has_one_trace_in_all_processes(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with (
        recorder.continue_trace({}),
        recorder.job("inv_1"),
        recorder.span("step resolve", {}, is_request=False),
    ):
        pass
    other = build_recorder(exporter)
    with other.continue_trace({}), other.job("inv_1") as job:
        with other.span("step apply", {}, is_request=False):
            pass
        job.end("job provision", {})
    with other.job("inv_2") as job:
        job.end("job delete", {})

    first, second, whole, another = exporter.get_finished_spans()
    assert trace_id(first) == trace_id(second) == trace_id(whole) != trace_id(another)
    assert whole.parent is None
    for step in (first, second):
        assert step.parent is not None
        assert step.parent.span_id == span_id(whole)
    assert span_id(first) != span_id(second)


def test_a_job_whose_end_is_repeated_has_the_same_span_twice(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    for _ in range(2):
        with recorder.job("inv_1") as job:
            job.end("job provision", {})

    first, second = exporter.get_finished_spans()
    assert first.context == second.context


def test_a_jobs_span_begins_with_its_first_attempt(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.job("inv_1"), recorder.span("step resolve", {}, is_request=False):
        pass
    with recorder.job("inv_1") as job:
        job.end("job provision", {}, started_at="2999-01-01T00:00:00.000+00:00")
    with recorder.job("inv_2") as job:
        job.end("job delete", {}, started_at="2001-09-09T01:46:40.000+00:00")

    resolve, provision, delete = exporter.get_finished_spans()
    assert provision.start_time is not None
    assert resolve.start_time is not None
    assert provision.start_time <= resolve.start_time
    assert delete.start_time == 1_000_000_000 * 10**9


def test_killed_jobs_are_forgotten(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    monkeypatch.setattr(open_telemetry, "_MAX_JOBS", 2)

    for number in range(4):
        with recorder.job(f"inv_{number}"):
            pass

    assert list(recorder._jobs) == ["inv_2", "inv_3"]


def test_nothing_is_recorded_outside_of_a_job(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.span("restate: GET /deployments", {}, is_request=True):
        recorder.annotate({"http.response.status_code": 200})

    assert names(exporter) == []
    assert recorder.current_trace_id() == ""
    assert recorder.outgoing_headers() == {}


def test_a_request_carries_its_span_to_the_other_program(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.continue_trace({"traceparent": TRACEPARENT}), recorder.job("inv_1"):
        assert recorder.current_trace_id() == f"{TRACE:032x}"
        with recorder.span("landlord: read a tenant", {}, is_request=True):
            recorder.annotate({"http.response.status_code": 200})
            headers = recorder.outgoing_headers()

    span = find(exporter, "landlord: read a tenant")
    assert headers["traceparent"] == f"00-{TRACE:032x}-{span_id(span):016x}-01"
    assert span.attributes == {"http.response.status_code": 200}


def test_a_job_that_its_sender_does_not_sample_is_not_recorded(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": f"{TRACEPARENT[:-2]}00"}
    with recorder.continue_trace(headers), recorder.job("inv_1") as job:
        with recorder.span("step apply", {}, is_request=False):
            assert recorder.current_trace_id() == f"{TRACE:032x}"
        job.end("job provision", {})

    assert names(exporter) == []


def test_a_sampler_takes_all_spans_of_a_job_or_none(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider(ParentBased(TraceIdRatioBased(0.5)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = Recorder(provider)

    for number in range(40):
        execution_id = f"inv_{number}"
        with recorder.job(execution_id), recorder.span(execution_id, {}, is_request=False):
            pass
        with recorder.job(execution_id) as job:
            job.end(execution_id, {})

    counts = Counter(names(exporter))
    assert set(counts.values()) == {2}
    assert 5 < len(counts) < 35


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (Held("no such image", retry_after=1), "LE402", (StatusCode.ERROR, "no such image")),
        (Superseded("inv_2 has the lock"), "LE404", (StatusCode.UNSET, None)),
        (ValueError("sesame"), "ValueError", (StatusCode.ERROR, None)),
        (asyncio.CancelledError(), "CancelledError", (StatusCode.ERROR, None)),
    ],
)
def test_an_error_is_recorded_without_the_text_of_others_errors(
    exporter: InMemorySpanExporter,
    error: BaseException,
    kind: str,
    status: tuple[StatusCode, str | None],
) -> None:
    recorder = build_recorder(exporter)
    with (
        pytest.raises(type(error)),
        recorder.job("inv_1"),
        recorder.span("step apply", {}, is_request=False),
    ):
        raise error

    span = find(exporter, "step apply")
    assert span.attributes == {"error.type": kind}
    assert (span.status.status_code, span.status.description) == status
    assert span.events == ()
    assert "sesame" not in span.to_json()


def test_the_error_that_ends_a_job_is_recorded(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.job("inv_1") as job:
        job.end("job", {}, error=Held("no such image", retry_after=1))

    assert find(exporter, "job").status.description == "no such image"


def test_half_a_surrogate_pair_is_escaped(
    recorder: Recorder, exporter: InMemorySpanExporter
) -> None:
    with recorder.job("inv_\ud800"), recorder.span("s", {"t": "\ud800"}, is_request=False):
        pass

    assert find(exporter, "s").attributes == {"t": "\\ud800"}


@pytest.mark.usefixtures("no_provider")
async def test_the_standard_variables_describe_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sesame")
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        recorder = create_recorder()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
        with recorder.job("inv_1") as job:
            job.end("job provision", {"landlord.tenant": "t"})

        deadline = asyncio.get_running_loop().time() + 10
        assert await recorder.close(deadline)

    (span,) = receiver.spans
    assert (span.name, span.service) == ("job provision", "landlord-worker")
    assert span.attributes == {"landlord.tenant": "t"}
    assert receiver.headers["authorization"] == "Bearer sesame"


@pytest.mark.usefixtures("no_provider")
@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SERVICE_NAME": "mine"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"}],
)
def test_a_variable_names_the_service(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in {**variables, "OTEL_TRACES_EXPORTER": "none"}.items():
        monkeypatch.setenv(name, value)

    recorder = create_recorder()

    assert recorder._provider.resource.attributes["service.name"] == "mine"


@pytest.mark.usefixtures("no_provider")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ],
)
def test_a_variable_without_a_valid_value_is_a_settings_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=r"the traces cannot be exported: .*OTEL_"):
        create_recorder()


@pytest.mark.usefixtures("no_provider")
def test_only_traces_are_exported_and_the_other_variables_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    # An exporter that is not installed: the SDK would look for it.
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "carrier-pigeon")
    monkeypatch.delenv("OTEL_LOGS_EXPORTER", raising=False)

    create_recorder()

    assert os.environ["OTEL_METRICS_EXPORTER"] == "carrier-pigeon"
    assert "OTEL_LOGS_EXPORTER" not in os.environ


@pytest.mark.usefixtures("no_provider")
def test_a_provider_that_was_set_up_before_is_used(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    with create_recorder().job("inv_1") as job:
        job.end("job provision", {})

    assert names(exporter) == ["job provision"]


class StuckExporter(SpanExporter):
    """An exporter whose receiver does not answer."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def export(self, spans: object) -> SpanExportResult:
        self.released.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass


async def test_a_receiver_that_does_not_answer_delays_nothing_beyond_the_deadline() -> None:
    exporter = StuckExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=4, max_export_batch_size=2)
    )
    recorder = Recorder(provider)

    for number in range(20):
        with recorder.job(f"inv_{number}") as job:
            job.end("job provision", {})
    loop = asyncio.get_running_loop()
    before = loop.time()
    try:
        is_exported = await recorder.close(before + 0.1)
        waited = loop.time() - before
    finally:
        exporter.released.set()

    assert not is_exported
    assert waited < 5


def test_the_end_of_the_process_does_not_wait_for_a_loop_that_is_gone(
    exporter: InMemorySpanExporter,
) -> None:
    recorder = build_recorder(exporter)
    closing = threading.Event()
    recorder._provider.shutdown = closing.wait  # type: ignore[method-assign,assignment]  # it takes long

    asyncio.run(recorder.close(0))
    (thread,) = (each for each in threading.enumerate() if each.name == "last-spans")
    closing.set()
    thread.join(30)

    assert not thread.is_alive()
