"""The commands about tenants: they read the backend, Landlord and the targets, and serve no jobs."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing

import click

from landlord_engines_core.cli import tenant_output as output
from landlord_engines_core.cli.loading import LoadedEngine, load_checked_engine
from landlord_engines_core.cli.options import Options
from landlord_engines_core.engine import Capability, JobState, TenantStatus, WorkerEngine
from landlord_engines_core.errors import TenantNotFound
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.host import run_async

__all__ = ["list_tenants", "plan_tenant", "retry_tenant", "show_history", "show_status"]

Select = Callable[[TenantStatus], bool]
"""Function that chooses the tenants of a list."""


def list_tenants(options: Options, *, held: bool, compute: str | None, as_json: bool) -> None:
    """Print the tenants, and end with `ExitCode.FAILED` if one is not as desired.

    Args:
        options: The options before the subcommand.
        held: Whether to leave out tenants without a held job.
        compute: A compute engine. Tenants without a placement on it are left out.
        as_json: Whether to print a JSON document.

    Raises:
        CapabilityNotSupported: The engine cannot read records.
        EngineError: The backend gives no usable answer.
    """

    def select(status: TenantStatus) -> bool:
        is_selected = not held or any(job.state is JobState.HELD for job in status.jobs)
        return is_selected and (compute is None or status.has_engine(compute))

    _end(run_async(_list(load_checked_engine(options), select, as_json=as_json)))


async def _list(engine: LoadedEngine, select: Select, *, as_json: bool) -> bool:
    """Print the selected tenants as they arrive, and return whether all are as desired."""
    engine.factory.info.require(Capability.RECORDS)
    states, different = Counter[str](), 0
    head = '{"tenants": [' if as_json else output.render_header()
    async with engine.open_worker() as parts, aclosing(parts.engine.list_tenants()) as tenants:
        async for status in tenants:
            if not select(status):
                continue
            if not states:
                # Not before: a backend that does not answer gives an error and no list.
                click.echo(head)
            if as_json:
                separator = "," if states else " "
                click.echo(separator + json.dumps(output.describe_tenant(status)))
            else:
                click.echo(output.render_row(status))
            states[status.state] += 1
            different += not status.is_converged
    if not states:
        click.echo(head)
    click.echo("]}" if as_json else output.render_summary(states, different))
    return not different


def show_status(options: Options, tenant: str, *, as_json: bool) -> None:
    """Print a tenant with its problems first; end with `ExitCode.FAILED` if it is not as desired.

    Raises:
        CapabilityNotSupported: The engine cannot read records.
        TenantNotFound: The backend knows no such tenant.
    """
    status = run_async(_read(load_checked_engine(options), tenant))
    lines = output.render_status(status)
    _print([output.render_json(output.describe_tenant(status))] if as_json else lines)
    _end(status.is_converged)


def show_history(options: Options, tenant: str, *, as_json: bool) -> None:
    """Print a tenant's transitions.

    Raises:
        CapabilityNotSupported: The engine cannot read records.
        TenantNotFound: The backend knows no such tenant.
    """
    status = run_async(_read(load_checked_engine(options), tenant))
    lines = output.render_history(status)
    _print([output.render_json(output.describe_history(status))] if as_json else lines)


def plan_tenant(options: Options, tenant: str, *, as_json: bool) -> None:
    """Print what an apply would change, and end with `ExitCode.FAILED` if there is something.

    Raises:
        CapabilityNotSupported: The engine cannot read records.
        LandlordEnginesError: The plan cannot be made; see `TenantPlanner.plan`.
    """

    async def plan(engine: LoadedEngine) -> bool:
        engine.factory.info.require(Capability.RECORDS)
        async with engine.open_worker() as parts:
            status = await parts.engine.read_tenant(tenant)
            planned = await parts.jobs.planner.plan(tenant, status.record)
        lines = output.render_plan(planned)
        _print([output.render_json(output.describe_plan(tenant, planned))] if as_json else lines)
        return planned.is_empty

    _end(run_async(plan(load_checked_engine(options))))


def retry_tenant(options: Options, tenant: str) -> None:
    """Have the backend try the tenant's waiting jobs at once, and print each one.

    Raises:
        CapabilityNotSupported: The engine cannot read records, or cannot retry jobs.
        TenantNotFound: The backend knows no such tenant.
    """
    run_async(_retry(load_checked_engine(options), tenant))


async def _retry(engine: LoadedEngine, tenant: str) -> None:
    for capability in (Capability.RECORDS, Capability.RETRY):
        engine.factory.info.require(capability)
    async with engine.open_worker() as parts:
        status = await _find(parts.engine, tenant)
        waiting = [job for job in status.jobs if job.state.is_waiting]
        for job in waiting:
            is_retried = await parts.engine.retry_job(job.execution_id)
            result = "tried now" if is_retried else "ended meanwhile"
            click.echo(f"{result}: {output.render_job(job)}")
    if not waiting:
        click.echo("no job of this tenant waits for an attempt")


async def _read(engine: LoadedEngine, tenant: str) -> TenantStatus:
    engine.factory.info.require(Capability.RECORDS)
    async with engine.open_worker() as parts:
        return await _find(parts.engine, tenant)


async def _find(engine: WorkerEngine, tenant: str) -> TenantStatus:
    status = await engine.read_tenant(tenant)
    if not status.is_known:
        raise TenantNotFound(
            f"the backend has no record and no open job of the tenant {tenant!r}",
            hint="give the tenant's key, which `landlord-host tenants` lists",
        )
    return status


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _end(is_as_desired: bool) -> None:  # noqa: FBT001  # the only argument
    if not is_as_desired:
        raise click.exceptions.Exit(ExitCode.FAILED)
