"""Traces as other modules see them: nothing without OpenTelemetry, and nothing unasked."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

import landlord_engines_core
from landlord_engines_core import tracing
from landlord_engines_core.logs import _add_trace_id
from landlord_engines_core.open_telemetry import Recorder
from landlord_test_target.spans import TRACE, TRACEPARENT, recorded_spans

NOTHING_IMPORTED = """
import sys
from landlord_engines_core import cli, host, tracing
import landlord_engines_restate.engine
assert tracing.start_export()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


@pytest.fixture(autouse=True)
def no_recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*tracing._SWITCHES, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield
    tracing._recorder = None


def test_without_a_variable_nothing_of_opentelemetry_is_imported() -> None:
    subprocess.run([sys.executable, "-c", NOTHING_IMPORTED], check=True)


async def test_without_a_recorder_every_call_does_nothing() -> None:
    assert tracing.start_export()

    with tracing.continue_trace({"traceparent": TRACEPARENT}), tracing.trace_job("inv_1") as job:
        with tracing.trace_span("step apply", {}):
            tracing.annotate({"a": 1})
        job.end("job provision", {})

    assert tracing.outgoing_headers() == {}
    assert tracing.current_trace_id() == ""
    assert await tracing.stop_export(0)


def test_a_disabled_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")

    assert tracing.start_export()
    assert tracing._recorder is None


def test_variables_without_the_extra_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delitem(sys.modules, "landlord_engines_core.open_telemetry", raising=False)
    monkeypatch.delattr(landlord_engines_core, "open_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    assert not tracing.start_export()
    assert tracing._recorder is None


async def test_a_variable_starts_the_export_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")

    assert tracing.start_export()

    assert isinstance(tracing._recorder, Recorder)
    assert await tracing.stop_export(float("inf"))
    assert tracing._recorder is None


def test_a_log_line_of_a_job_has_the_id_of_its_trace() -> None:
    with (
        recorded_spans(),
        tracing.continue_trace({"traceparent": TRACEPARENT}),
        tracing.trace_job("inv_1"),
    ):
        line = _add_trace_id(None, "info", {"message": "job completed"})

    assert line == {"message": "job completed", "trace_id": f"{TRACE:032x}"}
    assert _add_trace_id(None, "info", {"message": "draining"}) == {"message": "draining"}


async def test_all_calls_reach_the_recorder() -> None:
    with recorded_spans() as exporter:
        with tracing.continue_trace({}), tracing.trace_job("inv_1") as job:
            with tracing.trace_span("landlord: read a tenant", {}, is_request=True):
                tracing.annotate({"http.response.status_code": 200})
                assert "traceparent" in tracing.outgoing_headers()
            job.end("job provision", {})
        assert len(tracing.current_trace_id()) == 0

    assert [span.name for span in exporter.get_finished_spans()] == [
        "landlord: read a tenant",
        "job provision",
    ]
