"""Acts of `process` on the tenant ``t`` as steps of jobs, and interruptions of them."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest

from landlord_engines_core.compute import ComputeSpec, InFlightRequests, ResourceState
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.commands import DEAF, PYTHON, living, server, spec
from landlord_test_target.harness import wait_for

Ask = Callable[[], Awaitable[object]]


async def due() -> None:
    """Answer that the job is alive."""


def nothing() -> None:
    """Do nothing meanwhile."""


async def step(engine: ProcessCompute, desired: ComputeSpec, still_due: Ask = due) -> object:
    """Update a tenant as a step of a job does."""
    with InFlightRequests(longest_carry=engine.longest_carry).act(desired.tenant, still_due):
        return await engine.update(desired)


async def cancelled_at(
    engine: ProcessCompute,
    point: str,
    desired: ComputeSpec,
    meanwhile: Callable[[], None] = nothing,
) -> None:
    """Cancel an update at a failpoint."""

    def reached(at: str) -> None:
        if at == point:
            meanwhile()
            raise asyncio.CancelledError

    job = asyncio.create_task(step(attrs.evolve(engine, reached=reached), desired))
    await asyncio.wait((job,))
    assert job.cancelled()


async def cut_at(engine: ProcessCompute, point: str, desired: ComputeSpec) -> None:
    """End an update as a worker's death does, without finishing any request."""

    def reached(at: str) -> None:
        if at == point:
            raise InterruptedError

    with pytest.raises(ComputeUnavailable, match="InterruptedError"):
        await attrs.evolve(engine, reached=reached).update(desired)


async def serves(engine: ProcessCompute, tenants_mark: str, desired: ComputeSpec) -> None:
    """Check that the tenant has one process, with this configuration, that becomes healthy."""

    async def look() -> bool:
        observed = await engine.inspect(desired.tenant, "")
        return (observed.state, observed.config_hash) == (
            ResourceState.HEALTHY,
            desired.config_hash,
        )

    await wait_for(look)
    (process,) = living(tenants_mark)
    env = desired.config["env"]
    assert isinstance(env, dict)
    assert process.environ()["STATUS"] == env["STATUS"]


async def provisioned(engine: ProcessCompute, tenants_mark: str) -> ComputeSpec:
    first = spec(server(tenants_mark))
    await engine.provision(first)
    await serves(engine, tenants_mark, first)
    return first


def deaf(tenants_mark: str, within: float = 30) -> ComputeSpec:
    """Build a version that does not become healthy."""
    health = {"http": "/", "within": within}
    return spec(server(tenants_mark, status=500) | {"command": [*PYTHON, DEAF], "health": health})
