"""Attributes and results in the spans of jobs, without any value of a configuration."""

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import ExecutionStatus, Job
from landlord_engines_core.tracing import Attributes, JobTrace

__all__ = ["describe_job", "end_trace", "end_trace_of_invalid"]


def describe_job(job: Job, execution_id: str) -> Attributes:
    """Return the attributes of a job that each of its spans has."""
    return {
        "landlord.operation": job.operation,
        "landlord.tenant": job.tenant,
        "landlord.execution_id": execution_id,
    }


def end_trace(trace: JobTrace, job: Job, answer: ExecutionStatus) -> None:
    """Record the span of a job that ended with this answer."""
    output = answer.output
    engine = {"landlord.compute_engine": output.provider_type} if output.provider_type else {}
    trace.end(
        f"job {job.operation}",
        {
            **describe_job(job, answer.execution_id),
            **engine,
            "landlord.worker_engine": answer.provider_type,
            "landlord.outcome": output.status,
        },
        started_at=answer.start_time,
    )


def end_trace_of_invalid(
    trace: JobTrace, job: Job | None, execution_id: str, error: InvalidJob
) -> None:
    """Record the span of an invalid job; ``None`` stands for a body that is no job."""
    known = (
        {"landlord.execution_id": execution_id} if job is None else describe_job(job, execution_id)
    )
    name = "job" if job is None else f"job {job.operation}"
    trace.end(name, {**known, "landlord.outcome": "invalid"}, error=error)
