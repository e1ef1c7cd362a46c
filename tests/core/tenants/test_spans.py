"""The spans of jobs: each job has one, over its steps, the calls of engines and their requests."""

import json

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused, Held, InvalidJob
from landlord_engines_core.models import CompletedJob, Operation
from landlord_test_target.in_memory import InMemorySteps, ScriptedCompute, build_tenant_jobs
from landlord_test_target.spans import find, names, recorded_spans, span_id


def body(operation: str = "provision", **config: object) -> bytes:
    document = {"tenant_uuid": "t", "operation": operation, "desired_config": config}
    return json.dumps(document).encode()


def check_parents(exporter: InMemorySpanExporter, job: str) -> None:
    """Check that each step is below the job, and each call of an engine below a step."""
    spans = exporter.get_finished_spans()
    by_id = {span_id(span): span.name for span in spans}
    for span in spans:
        if span.name == job:
            assert span.parent is None
            continue
        assert span.parent is not None
        parent = by_id[span.parent.span_id]
        assert parent == job if span.name.startswith("step ") else parent.startswith("step ")


async def test_a_job_has_spans_for_its_steps_and_for_the_calls_of_its_engine() -> None:
    with recorded_spans() as exporter:
        await build_tenant_jobs(("mock", MockCompute())).run(body(image="x"), InMemorySteps())

    assert names(exporter) == [
        "step resolve",
        "mock: inspect",
        "mock: provision",
        "mock: inspect",
        "step apply",
        "job provision",
    ]
    check_parents(exporter, "job provision")
    assert find(exporter, "job provision").attributes == {
        "landlord.operation": "provision",
        "landlord.tenant": "t",
        "landlord.execution_id": "one",
        "landlord.compute_engine": "mock",
        "landlord.worker_engine": "in-memory",
        "landlord.outcome": "created",
    }


async def test_a_held_job_has_a_failed_step_and_no_span_of_its_own() -> None:
    compute = ScriptedCompute(results=[ComputeRefused("no such image")])
    with recorded_spans() as exporter, pytest.raises(Held):
        await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps())

    step = find(exporter, "step apply")
    assert step.attributes is not None
    assert step.attributes["error.type"] == "LE402"
    assert step.status.description == "no such image"
    assert "job provision" not in names(exporter)


@pytest.mark.parametrize(
    ("sent", "name", "known"),
    [
        (b"{", "job", {}),
        (
            body("provision", compute_provider="nomad"),
            "job provision",
            {"landlord.operation": "provision", "landlord.tenant": "t"},
        ),
    ],
)
async def test_the_span_of_an_invalid_job_has_its_error(
    sent: bytes, name: str, known: dict[str, str]
) -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()), fail_permanently=True)
    with recorded_spans() as exporter, pytest.raises(InvalidJob):
        await tenants.run(sent, InMemorySteps())

    assert find(exporter, name).attributes == {
        **known,
        "landlord.execution_id": "one",
        "landlord.outcome": "invalid",
        "error.type": "LE401",
    }


async def test_a_superseded_job_and_a_resync_end_with_a_span_too() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    ended = CompletedJob(tenant="t", execution_id="one", operation=Operation.PROVISION)
    with recorded_spans() as exporter:
        await tenants.run(body("delete"), InMemorySteps(superseded=True))
        await tenants.resync(ended, InMemorySteps("two"))

    outcomes = {
        span.name: (span.attributes or {}).get("landlord.outcome")
        for span in exporter.get_finished_spans()
        if span.name.startswith("job")
    }
    assert outcomes == {"job delete": "superseded", "job resync": "unchanged"}
