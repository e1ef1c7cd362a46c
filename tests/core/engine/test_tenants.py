import pytest

from landlord_engines_core.engine import JobFailure, JobState, OpenJob, TenantStatus, read_failure
from landlord_engines_core.errors import Held, Transient
from landlord_engines_core.models import Placement, Record, Transition

CREATED = Transition(
    execution_id="1", operation="provision", started_at="t1", ended_at="t2", outcome="created"
)
OPEN = Transition(execution_id="2", operation="update", started_at="t3")
HELD = OpenJob(
    execution_id="2", state=JobState.HELD, since="t4", code="LE402", reason="it refuses this"
)
RUNNING = OpenJob(execution_id="3", state=JobState.RUNNING, since="t5")


def status(*transitions: Transition, jobs: tuple[OpenJob, ...] = ()) -> TenantStatus:
    return TenantStatus(tenant="t", record=Record(transitions=transitions), jobs=jobs)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (status(), ("idle", "", "", "", True)),
        (status(CREATED), ("idle", "created", "t2", "", True)),
        (
            status(CREATED, OPEN, jobs=(HELD,)),
            ("held", "created", "t4", "LE402: it refuses this", False),
        ),
        (status(OPEN, jobs=(HELD,)), ("held", "", "t4", "LE402: it refuses this", False)),
        (status(CREATED, OPEN), ("idle", "killed", "t3", "", False)),
        (
            status(CREATED, jobs=(RUNNING, HELD)),
            ("held", "created", "t4", "LE402: it refuses this", False),
        ),
        (status(CREATED, jobs=(RUNNING,)), ("running", "created", "t5", "", False)),
    ],
    ids=["nothing", "ended", "held", "held at first", "killed", "two jobs", "running"],
)
def test_state_outcome_time_and_reason_follow_from_the_record_and_the_open_jobs(
    shown: TenantStatus, expected: tuple[str, str, str, str, bool]
) -> None:
    assert (
        shown.state,
        shown.outcome,
        shown.since,
        shown.reason,
        shown.is_converged,
    ) == expected


@pytest.mark.parametrize("outcome", ["rolled-back", "refused"])
def test_a_tenant_whose_last_job_did_not_do_what_was_asked_is_not_as_desired(outcome: str) -> None:
    last = Transition(
        execution_id="1", operation="update", started_at="t", ended_at="t", outcome=outcome
    )

    assert not status(last).is_converged


def test_the_last_placement_serves_the_tenant_and_each_one_counts_as_its_engine() -> None:
    record = Record(placements=(Placement("docker", "h1"), Placement("ecs", "c1")))
    status_on_two = TenantStatus(tenant="t", record=record)

    assert status_on_two.placement == Placement("ecs", "c1")
    assert [status_on_two.has_engine(engine) for engine in ("docker", "ecs", "mock")] == [
        True,
        True,
        False,
    ]
    assert status_on_two.is_known
    assert status().placement is None
    assert not status().is_known


def waiting(error: Held | Transient, tenant: str) -> str:
    error.tenant = tenant
    return f"[500 Internal] {error}"


@pytest.mark.parametrize(
    ("text", "failure", "state"),
    [
        (
            waiting(Held("no (really)\n", hint="do", retry_after=30), "a (b)"),
            JobFailure(code="LE402", reason="no (really)\n; do", tenant="a (b)"),
            JobState.HELD,
        ),
        (
            "[500 Internal] LE407: it waits",
            JobFailure(code="LE407", reason="it waits"),
            JobState.QUEUED,
        ),
        ("LE408: it waits", JobFailure(code="LE408", reason="it waits"), JobState.SET_APART),
        (
            waiting(Transient("away"), "t"),
            JobFailure(code="LE403", reason="away", tenant="t"),
            JobState.RETRYING,
        ),
        ("connection refused", JobFailure(), JobState.RETRYING),
    ],
)
def test_the_text_of_a_failed_attempt_is_read_back(
    text: str, failure: JobFailure, state: JobState
) -> None:
    assert read_failure(text) == failure
    assert failure.state is state
