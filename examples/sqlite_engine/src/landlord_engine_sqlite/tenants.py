"""The tenants of a file, with their records and open jobs."""

from collections.abc import Iterator, Mapping
from heapq import merge
from operator import itemgetter

from landlord_engine_sqlite.store import Job, Lock, Store
from landlord_engines_core.api import JobState, OpenJob, TenantStatus, read_failure

__all__ = ["list_tenants", "read_tenant"]


def list_tenants(store: Store) -> Iterator[TenantStatus]:
    """List all tenants. A job that waits is of the tenant that its reason names."""
    waiting = _read_waiting(store)
    # A tenant without a lock has a job that waits before its first one.
    new = ((tenant, Lock()) for tenant in sorted(waiting) if not store.lock(tenant).job)
    for tenant, lock in merge(store.locks(), new, key=itemgetter(0)):
        yield _describe(store, tenant, lock, waiting.get(tenant))


def read_tenant(store: Store, tenant: str) -> TenantStatus:
    """Read one tenant."""
    return _describe(store, tenant, store.lock(tenant), _read_waiting(store).get(tenant))


def _read_waiting(store: Store) -> Mapping[str, Job]:
    jobs = {read_failure(job.reason).tenant: job for job in store.waiting_jobs()}
    return {tenant: job for tenant, job in jobs.items() if tenant}


def _describe(store: Store, tenant: str, lock: Lock, waiting: Job | None) -> TenantStatus:
    jobs = {job.id: job for job in (store.job(lock.job), waiting) if job is not None}
    open_jobs = tuple(_describe_job(job) for job in jobs.values() if job.is_open)
    return TenantStatus(tenant=tenant, record=lock.record, jobs=open_jobs)


def _describe_job(job: Job) -> OpenJob:
    failure = read_failure(job.reason)
    is_running = job.is_leased or not job.reason
    return OpenJob(
        execution_id=str(job.id),
        state=JobState.RUNNING if is_running else failure.state,
        attempts=job.attempt,
        code=failure.code,
        reason=failure.reason,
    )
