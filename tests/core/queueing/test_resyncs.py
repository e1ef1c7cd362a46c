from landlord_engines_core.models import CompletedJob, FollowUp, JobStart, Placement, Record
from landlord_engines_core.queueing import plan_resync

RECORD = Record().with_start(
    "7", JobStart(operation="update", started_at="", placement=Placement("mock", "host"))
)


def test_a_resync_names_the_job_and_where_the_tenant_had_a_resource() -> None:
    planned = plan_resync(
        RECORD, tenant="t", execution_id="7", operation="update", after=60, preempted=True
    )

    assert planned == FollowUp(
        after=60,
        ended=CompletedJob(
            tenant="t",
            execution_id="7",
            operation="update",
            removed=(Placement("mock", "host"),),
            preempted=True,
        ),
    )


def test_a_host_without_resyncs_gets_none() -> None:
    assert plan_resync(RECORD, tenant="t", execution_id="7", operation="update", after=0) is None
