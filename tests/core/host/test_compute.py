"""The context that a worker gives to its compute engines."""

import signal
import threading

import pytest
from opentelemetry.trace import SpanKind

from landlord_engines_core import host
from landlord_engines_core.compute import ComputeRegistry, process
from landlord_engines_core.compute.guarded import GuardedCompute
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.settings import LogSettings, Settings, WorkerSettings
from landlord_engines_core.tracing import trace_job
from landlord_test_target.compute_engines import read_section
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.spans import find, recorded_spans


def start() -> tuple[ComputeRegistry, ProcessCompute]:
    compute = {"process": read_section(process.factory, {"folder": "/state", "stop_timeout": 7})}
    settings = Settings(engine=None, compute=compute, log=LogSettings(), worker=WorkerSettings())
    registry = host.build_registry(settings, RecordingLogger(), Metrics())
    guarded = registry.engine("process")
    assert isinstance(guarded, GuardedCompute)
    assert isinstance(guarded.engine, ProcessCompute)
    return registry, guarded.engine


async def test_an_engine_gets_its_settings_its_defaults_and_the_workers_limits() -> None:
    registry, engine = start()

    assert engine.settings.folder == "/state"
    assert engine.context.defaults == {"stop_timeout": 7}
    assert engine.context.limits.step_timeout == 300
    await registry.aclose()


async def test_blocking_work_runs_in_threads_of_the_engine_that_take_no_signal() -> None:
    registry, engine = start()

    def read_thread() -> tuple[str, bool]:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return threading.current_thread().name, signal.SIGTERM in blocked

    name, takes_none = await engine.context.run_in_thread(read_thread)

    assert name.startswith("compute-process")
    assert takes_none
    await registry.aclose()


async def test_a_request_to_the_target_in_a_job_has_a_span() -> None:
    registry, engine = start()

    with (
        recorded_spans() as exporter,
        trace_job("inv_1"),
        pytest.raises(KeyError),
        engine.context.time_request("start a program"),
    ):
        raise KeyError("sesame")

    span = find(exporter, "process: start a program")
    assert span.kind is SpanKind.CLIENT
    assert span.attributes == {"landlord.compute_engine": "process", "error.type": "KeyError"}
    await registry.aclose()
