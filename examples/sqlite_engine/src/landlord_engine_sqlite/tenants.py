"""The tenants of a file, with their records and open jobs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby
from operator import itemgetter

from landlord_engine_sqlite.store import Job, Lock, Store
from landlord_engines_core.api import JobState, OpenJob, TenantStatus, read_failure

__all__ = ["list_tenants", "read_tenant"]


def list_tenants(store: Store) -> Iterator[TenantStatus]:
    """List all tenants. A job that waits is of the tenant that its reason names."""
    waiting = _read_waiting(store)
    # A tenant without a row has a job that waits before its first lock.
    unlocked = ((tenant, Lock()) for tenant in sorted(waiting))
    entries = merge(store.locks(), unlocked, key=itemgetter(0))
    for tenant, of_tenant in groupby(entries, key=itemgetter(0)):
        # The row comes first, if there is one.
        _, lock = next(of_tenant)
        yield _describe(store, tenant, lock, waiting.get(tenant, ()))


def read_tenant(store: Store, tenant: str) -> TenantStatus:
    """Read one tenant."""
    return _describe(store, tenant, store.lock(tenant), _read_waiting(store).get(tenant, ()))


def _read_waiting(store: Store) -> Mapping[str, list[Job]]:
    jobs: defaultdict[str, list[Job]] = defaultdict(list)
    for job in store.waiting_jobs():
        if tenant := read_failure(job.reason).tenant:
            jobs[tenant].append(job)
    return jobs


def _describe(store: Store, tenant: str, lock: Lock, waiting: Iterable[Job]) -> TenantStatus:
    jobs = {job.id: job for job in (store.job(lock.job), *waiting) if job is not None}
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
