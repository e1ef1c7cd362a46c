"""All jobs of a service that have not ended, by their tenants.

Restate shows no tenant of a job. The text of a failed attempt names the tenant, and so does the body of the
job, which is the first entry of its journal.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import aclosing

from landlord_engines_core.engine import OpenJob, read_failure
from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.tenants.parsing import parse_job
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.admin.inputs import read_input
from landlord_engines_restate.admin.queries import Status
from landlord_engines_restate.lock.open_jobs import COLUMNS, to_open_job

__all__ = ["JobsByTenant", "read_job_index"]

JobsByTenant = Mapping[str, tuple[OpenJob, ...]]

BATCH = 100
"""Largest number of jobs whose bodies one query reads."""


async def read_job_index(admin: AdminClient, service: str) -> JobsByTenant:
    """Read the open jobs of a service. A job whose body names no tenant is left out.

    Raises:
        EngineError: Restate's admin API gave no usable response.
    """
    rows = await admin.query(
        f"SELECT {COLUMNS} FROM sys_invocation"  # noqa: S608  # quoted
        f" WHERE target_service_name = {literal(service)} AND target_handler_name = 'execute'"
        f" AND status <> '{Status.COMPLETED}' ORDER BY created_at, id"
    )
    named = {str(row["id"]): read_failure(str(row.get("last_failure", ""))).tenant for row in rows}
    unnamed = [job_id for job_id, tenant in named.items() if not tenant]
    for first in range(0, len(unnamed), BATCH):
        named |= await _read_tenants(admin, unnamed[first : first + BATCH])
    jobs: defaultdict[str, list[OpenJob]] = defaultdict(list)
    for row in rows:
        if tenant := named[str(row["id"])]:
            jobs[tenant].append(to_open_job(row))
    return {tenant: tuple(of_tenant) for tenant, of_tenant in jobs.items()}


async def _read_tenants(admin: AdminClient, jobs: list[str]) -> Mapping[str, str]:
    """Read the tenants from the bodies of jobs, one body after the other."""
    quoted = ", ".join(map(literal, jobs))
    sql = f"SELECT id, entry_json FROM sys_journal WHERE id IN ({quoted}) AND index = 0"  # noqa: S608  # quoted
    tenants = {}
    async with aclosing(admin.stream_rows(sql)) as rows:
        async for row in rows:
            tenants[str(row["id"])] = _read_tenant(read_input(row, admin.url))
    return tenants


def _read_tenant(body: bytes) -> str:
    try:
        return parse_job(body).tenant
    except InvalidJob:
        return ""
