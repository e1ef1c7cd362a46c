"""The transition of a job, and the answer that its sender gets."""

from landlord_engines_core.errors import Superseded
from landlord_engines_core.models import (
    ExecutionState,
    ExecutionStatus,
    Job,
    Outcome,
    Output,
    Transition,
)
from landlord_engines_core.tenants.results import Confirmed, Planned, Resolved, ResyncCheck

__all__ = ["answer_planned", "answer_succeeded", "answer_superseded", "answer_unchanged", "sum_up"]


def sum_up(
    job: Job, execution_id: str, resolved: Resolved | ResyncCheck, confirmed: Confirmed
) -> Transition:
    """Build the transition of a job that has ended."""
    applied = confirmed.applied
    return Transition(
        execution_id=execution_id,
        operation=job.operation,
        started_at=resolved.started_at,
        ended_at=confirmed.ended_at,
        outcome=applied.outcome,
        config_hash=applied.config_hash,
        changes=applied.changes,
        placement=applied.placement,
        removed=applied.removed,
        detail=confirmed.detail,
    )


def answer_succeeded(provider_type: str, job: Job, transition: Transition) -> ExecutionStatus:
    """Answer a job that did its work."""
    placement = transition.placement
    return ExecutionStatus(
        execution_id=transition.execution_id,
        provider_type=provider_type,
        state=ExecutionState.SUCCEEDED,
        start_time=transition.started_at,
        stop_time=transition.ended_at or "",
        output=Output(
            tenant_id=job.tenant,
            provider_type=placement.engine if placement else "",
            status=transition.outcome,
            resource_ids=placement.resource_ids if placement else {},
            changes=transition.changes,
            message=transition.detail,
            transition=transition,
        ),
    )


def answer_planned(
    provider_type: str, job: Job, execution_id: str, started_at: str, plan: Planned
) -> ExecutionStatus:
    """Answer a plan with what an apply would do."""
    return ExecutionStatus(
        execution_id=execution_id,
        provider_type=provider_type,
        state=ExecutionState.SUCCEEDED,
        start_time=started_at,
        output=Output(tenant_id=job.tenant, status=plan.action, changes=plan.changes),
    )


def answer_unchanged(
    provider_type: str, job: Job, execution_id: str, started_at: str
) -> ExecutionStatus:
    """Answer a resync that repaired nothing."""
    return ExecutionStatus(
        execution_id=execution_id,
        provider_type=provider_type,
        state=ExecutionState.SUCCEEDED,
        start_time=started_at,
        output=Output(tenant_id=job.tenant, status=Outcome.UNCHANGED),
    )


def answer_superseded(
    provider_type: str, job: Job, execution_id: str, error: Superseded
) -> ExecutionStatus:
    """Answer a superseded job, which changed nothing."""
    return ExecutionStatus(
        execution_id=execution_id,
        provider_type=provider_type,
        state=ExecutionState.CANCELLED,
        start_time="",
        output=Output(tenant_id=job.tenant, status="superseded", message=error.message),
    )
