"""Compares the work of both sides, by the traces of a job in Restate and Landlord's API."""

import json
from collections.abc import Sequence
from typing import Any

import attrs

from benchmarks.load import Load, create_keys
from benchmarks.processes import Worker
from landlord_engines_restate.admin import literal

__all__ = ["Traces", "read_traces"]


@attrs.frozen(kw_only=True)
class Traces:
    """The traces of a job, which are equal for jobs that did the same work.

    Attributes:
        journals: The kind and the name of each entry, by handler.
        state: The form of the tenant's state by key: its keys, without its values.
        tenant_reads: The number of requests to Landlord.
    """

    journals: dict[str, list[tuple[str, str]]]
    state: dict[str, object]
    tenant_reads: int


async def read_traces(load: Load, worker: Worker) -> Traces:
    """Run two jobs of one tenant on a worker, and return the traces of the second."""
    (tenant,) = create_keys(1)
    await load.new_config()
    await load.run_job(worker, tenant)
    await load.wait_resynced()
    await load.new_config()
    before = await load.count_tenant_reads()
    job = await load.run_job(worker, tenant)
    await load.wait_resynced()
    return Traces(
        journals=await _journals(load, job),
        state=await _state(load, worker, tenant),
        tenant_reads=await load.count_tenant_reads() - before,
    )


async def _journals(load: Load, job: str) -> dict[str, list[tuple[str, str]]]:
    job_literal = literal(job)
    invocations = await load.admin.query(
        "SELECT id, target_handler_name FROM sys_invocation"  # noqa: S608  # quoted
        f" WHERE id = {job_literal} OR invoked_by_id = {job_literal}"
    )
    return {
        str(invocation["target_handler_name"]): await _entries(load, str(invocation["id"]))
        for invocation in invocations
    }


async def _entries(load: Load, invocation: str) -> list[tuple[str, str]]:
    rows = await load.admin.query(
        "SELECT entry_type, name FROM sys_journal"  # noqa: S608  # quoted
        f' WHERE id = {literal(invocation)} ORDER BY "index"'
    )
    return [(str(row["entry_type"]), str(row.get("name", ""))) for row in rows]


async def _state(load: Load, worker: Worker, tenant: str) -> dict[str, object]:
    rows = await load.admin.query(
        "SELECT key, value_utf8 FROM state"  # noqa: S608  # quoted
        f" WHERE service_name = {literal(worker.service + 'Tenant')}"
        f" AND service_key = {literal(tenant)}"
    )
    return {str(row["key"]): _form(json.loads(str(row["value_utf8"]))) for row in rows}


def _form(document: Any) -> object:
    if isinstance(document, dict):
        return {key: _form(value) for key, value in document.items()}
    if isinstance(document, Sequence) and not isinstance(document, str):
        return [_form(value) for value in document]
    return type(document).__name__
