"""A real receiver gets one trace for each job, from Landlord's dispatch to the target."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_test_target.harness import Harness, Worker
from landlord_test_target.otlp import ReceivedSpan, Receiver, running_receiver
from landlord_test_target.spans import PARENT, TRACE, TRACEPARENT

SECRET = "canary4f1d"
CONFIG = {"version": 1, "password": SECRET}
CALLS = ["target: inspect", "target: provision", "target: inspect"]
"""The calls of an engine that creates a resource."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


async def start_worker(harness: Harness, receiver: Receiver, config: dict[str, object]) -> Worker:
    worker = await harness.launch(
        config, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_BSP_SCHEDULE_DELAY="50"
    )
    return await worker.wait_registered()


async def dispatch(harness: Harness, tenant: str, **headers: str) -> str:
    """Dispatch a job whose configuration has a secret."""
    url = f"{harness.restate.endpoint}/{harness.service}/execute/send"
    body = harness.body(tenant, "provision", CONFIG)
    headers = {"content-type": "application/json", **headers}
    async with harness.http.post(url, data=body, headers=headers) as response:
        execution_id: str = (await response.json())["invocationId"]
        return execution_id


def names(spans: Sequence[ReceivedSpan]) -> list[str]:
    """List names in the order of the starts, without the requests to Restate."""
    return [span.name for span in spans if not span.name.startswith("restate:")]


PARENTS = {"step": ("job",), "landlord": ("step",), "target": ("step apply", "target")}
"""The first words of the names of a span's parent, by the first word of its own name."""


def check_family(spans: Sequence[ReceivedSpan], root: str) -> None:
    """Check that no span came twice, and that each is below the right one, the job's below ``root``."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert [span.name for span in spans if span.parent_id == root] == ["job provision"]
    for span in spans:
        if span.parent_id == root:
            continue
        parent = by_id[span.parent_id]
        if (first_word := re.split("[: ]", span.name)[0]) in PARENTS:
            assert parent.name.startswith(PARENTS[first_word]), (span.name, parent.name)
        if not parent.name.startswith("job"):
            assert parent.start <= span.start <= span.end <= parent.end


async def test_a_trace_leads_from_the_dispatch_to_the_target_and_to_landlord(
    harness: Harness, receiver: Receiver, httpserver: HTTPServer
) -> None:
    read: list[str] = []

    def answer(request: Request) -> Response:
        read.append(request.headers["traceparent"].split("-")[1])
        document = {"id": "t", "status": "provisioning", "desired_config": CONFIG}
        return Response(json.dumps(document), content_type="application/json")

    httpserver.expect_request(re.compile("/v1/tenants/.*")).respond_with_handler(answer)
    httpserver.expect_request("/v1/compute/config").respond_with_json({"error": "x"}, status=400)
    worker = await start_worker(harness, receiver, harness.config(api=httpserver.url_for("")))
    tenant = harness.tenant()

    job = await dispatch(harness, tenant, traceparent=TRACEPARENT)
    await harness.wait_done(job)
    assert await worker.terminate() == 0

    spans = receiver.trace(f"{TRACE:032x}")
    check_family(spans, f"{PARENT:016x}")
    assert Counter(names(spans)) == Counter(
        [
            "job provision",
            "step resolve",
            "step apply",
            "landlord: read a tenant",
            "landlord: read a tenant",
            "landlord: read defaults",
            *CALLS,
        ]
    )
    assert set(read) == {f"{TRACE:032x}"}
    (whole,) = (span for span in spans if span.name == "job provision")
    assert whole.attributes == {
        "landlord.operation": "provision",
        "landlord.tenant": tenant,
        "landlord.execution_id": job,
        "landlord.compute_engine": "target",
        "landlord.worker_engine": "restate",
        "landlord.outcome": "created",
    }
    assert whole.start <= spans[0].start
    lines = [line for line in worker.log_lines() if line.get("execution_id") == job]
    assert {line["trace_id"] for line in lines} == {f"{TRACE:032x}"}
    assert SECRET.encode() not in receiver.received


async def test_a_job_has_one_trace_while_it_is_held_and_after_its_worker_was_killed(
    harness: Harness, receiver: Receiver
) -> None:
    config = harness.config(hold_retry_interval="1s")
    worker = await start_worker(harness, receiver, config)
    held, killed = harness.tenant(), harness.tenant()
    await harness.target.set_fault(held, "create", refuse=1)
    await harness.target.set_fault(killed, "inspect", delay_after=1.0)

    held_job = await dispatch(harness, held)
    await harness.wait_done(held_job)
    killed_job = await dispatch(harness, killed)
    await harness.target.wait_called(killed, "inspect")
    first = await receiver.wait_span("step resolve", landlord_tenant=killed)
    await worker.kill()
    await harness.target.set_fault(killed, "inspect")
    await start_worker(harness, receiver, config)
    await harness.wait_done(killed_job)
    await receiver.wait_span("job provision", landlord_tenant=killed)

    whole = await receiver.wait_span("job provision", landlord_tenant=held)
    spans = receiver.trace(whole.trace_id)
    check_family(spans, "")
    assert names(spans) == [
        "job provision",
        "step resolve",
        "step apply",
        *CALLS[:2],
        "step apply",
        *CALLS,
    ]
    refused = [
        (span.name, span.attributes["error.type"], span.message) for span in spans if span.failed
    ]
    assert refused == [
        ("step apply", "LE402", "the target refuses this"),
        ("target: provision", "LE501", "the target refuses this"),
    ]
    spans = receiver.trace(first.trace_id)
    check_family(spans, "")
    # Nothing is left of the step during which the worker was killed.
    assert sorted(names(spans)) == sorted(["job provision", "step resolve", "step apply", *CALLS])
    assert SECRET.encode() not in receiver.received
