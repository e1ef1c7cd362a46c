"""The trace of a job on Restate; tests/e2e/test_traces.py has it from a real server."""

import asyncio

import pytest
from restate.context import Request
from restate.server_context import ServerTeardownEvent

from landlord_engines_core.tracing import current_trace_id, trace_job
from landlord_engines_restate.jobs.services import _continue_trace
from landlord_test_target.spans import TRACE, TRACEPARENT, recorded_spans

OF_RESTATE = f"00-{TRACE:032x}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("of_landlord", "of_restate", "parent"),
    [
        ({"traceparent": TRACEPARENT}, {}, TRACEPARENT),
        ({"traceparent": TRACEPARENT}, {"traceparent": OF_RESTATE, "tracestate": ""}, OF_RESTATE),
        ({}, {"traceparent": OF_RESTATE}, OF_RESTATE),
    ],
    ids=["restate's tracing is off", "both", "landlord sends none"],
)
async def test_a_job_continues_the_trace_of_landlord_or_restates_own_span(
    of_landlord: dict[str, str], of_restate: dict[str, str], parent: str
) -> None:
    request = Request(
        id="inv_1",
        headers=of_landlord,
        attempt_headers=of_restate,
        body=b"",
        attempt_finished_event=ServerTeardownEvent(asyncio.Event()),
    )

    with recorded_spans() as exporter, _continue_trace(request), trace_job("inv_1") as job:
        assert current_trace_id() == f"{TRACE:032x}"
        job.end("job provision", {})

    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == parent.split("-")[2]
