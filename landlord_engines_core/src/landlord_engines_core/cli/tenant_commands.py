"""The commands about tenants, with their options and help texts; see `commands` about the imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from landlord_engines_core.cli.options import Options

__all__ = ["TENANT_COMMANDS"]

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_tenant = click.argument("tenant")


@click.command()
@click.option("--held", is_flag=True, help="Only tenants with a held job.")
@click.option("--engine", "compute", metavar="NAME", help="Only tenants on this compute engine.")
@_json
@click.pass_obj
def tenants(options: Options, *, held: bool, compute: str | None, as_json: bool) -> None:
    """List the tenants and their states.

    OUTCOME is the result of the last job. STATE is idle, or the state of a job that has not ended:
    running, held, retrying, queued, set-apart or paused. REASON begins with the error's code.

    A tenant is as desired if no job is open, and the last one was not refused, rolled back or killed.
    The exit code is 0 if all listed tenants are as desired, and 3 if one is not. An error with the code
    3 has a text on standard error.
    """
    from landlord_engines_core.cli.tenants import list_tenants

    list_tenants(options, held=held, compute=compute, as_json=as_json)


@click.command()
@_tenant
@_json
@click.pass_obj
def status(options: Options, tenant: str, *, as_json: bool) -> None:
    """Show the record and the open jobs of a tenant.

    TENANT is the tenant's key. Open jobs and their errors come first. The exit code is 0 if the tenant
    is as desired, and 3 if it is not.
    """
    from landlord_engines_core.cli.tenants import show_status

    show_status(options, tenant, as_json=as_json)


@click.command()
@_tenant
@_json
@click.pass_obj
def history(options: Options, tenant: str, *, as_json: bool) -> None:
    """Show the last 50 jobs of a tenant, oldest first."""
    from landlord_engines_core.cli.tenants import show_history

    show_history(options, tenant, as_json=as_json)


@click.command()
@_tenant
@_json
@click.pass_obj
def plan(options: Options, tenant: str, *, as_json: bool) -> None:
    """Show what an apply would change.

    Compares the target of the tenant with Landlord's configuration, and changes nothing. Prints the names of
    keys and no values. The exit code is 0 if nothing would change, and 3 otherwise.

    Needs Landlord's API, and the access of a worker to the target.
    """
    from landlord_engines_core.cli.tenants import plan_tenant

    plan_tenant(options, tenant, as_json=as_json)


@click.command()
@_tenant
@click.pass_obj
def retry(options: Options, tenant: str) -> None:
    """Try a waiting job of a tenant now.

    Starts the next attempt of each job that is held, retrying, queued, set apart or paused. A running
    job is left alone.
    """
    from landlord_engines_core.cli.tenants import retry_tenant

    retry_tenant(options, tenant)


TENANT_COMMANDS = (tenants, status, history, plan, retry)
"""The commands, in the order of the documentation."""
