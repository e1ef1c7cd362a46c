"""Operations of the engine `process` on the tenant ``t``, and interruptions of them."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest

from landlord_engines_core.compute import ComputeSpec, InFlightRequests, ResourceState
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.commands import (
    PYTHON,
    SILENT_SERVER,
    answering_server,
    find_processes,
    spec,
)
from landlord_test_target.harness import wait_for

ConfirmJob = Callable[[], Awaitable[object]]


async def confirm_job_is_alive() -> None:
    """Answer that the job is alive."""


def do_nothing() -> None:
    """Do nothing meanwhile."""


async def update_in_step(
    engine: ProcessCompute, desired: ComputeSpec, confirm_job: ConfirmJob = confirm_job_is_alive
) -> object:
    """Update a tenant as a step of a job does."""
    with InFlightRequests(longest_carry=engine.longest_carry).attribute_to(
        desired.tenant, confirm_job
    ):
        return await engine.update(desired)


async def cancel_update_at(
    engine: ProcessCompute,
    point: str,
    desired: ComputeSpec,
    meanwhile: Callable[[], None] = do_nothing,
) -> None:
    """Cancel an update at a failpoint."""

    def reached(at: str) -> None:
        if at == point:
            meanwhile()
            raise asyncio.CancelledError

    job = asyncio.create_task(update_in_step(attrs.evolve(engine, reached=reached), desired))
    await asyncio.wait((job,))
    assert job.cancelled()


async def crash_update_at(engine: ProcessCompute, point: str, desired: ComputeSpec) -> None:
    """End an update at a failpoint as the death of the worker would, without finishing any request."""

    def reached(at: str) -> None:
        if at == point:
            raise InterruptedError

    with pytest.raises(ComputeUnavailable, match="InterruptedError"):
        await attrs.evolve(engine, reached=reached).update(desired)


async def wait_serves(engine: ProcessCompute, tenants_mark: str, desired: ComputeSpec) -> None:
    """Check that the tenant has one process, with this configuration, that becomes healthy."""

    async def check() -> bool:
        observed = await engine.inspect(desired.tenant, "")
        return (observed.state, observed.config_hash) == (
            ResourceState.HEALTHY,
            desired.config_hash,
        )

    await wait_for(check)
    (process,) = find_processes(tenants_mark)
    env = desired.config["env"]
    assert isinstance(env, dict)
    assert process.environ()["STATUS"] == env["STATUS"]


async def provision_first(engine: ProcessCompute, tenants_mark: str) -> ComputeSpec:
    first = spec(answering_server(tenants_mark))
    await engine.provision(first)
    await wait_serves(engine, tenants_mark, first)
    return first


def unhealthy_spec(tenants_mark: str, within: float = 30) -> ComputeSpec:
    """Build a version that does not become healthy."""
    health = {"http": "/", "within": within}
    return spec(
        answering_server(tenants_mark, status=500)
        | {"command": [*PYTHON, SILENT_SERVER], "health": health}
    )
