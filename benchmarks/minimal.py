"""The smallest service by hand: it runs a tenant's jobs one after the other, in one step each.

The difference to [`benchmarks.bare`][] is the cost of the guarantees. The service asks neither
Landlord nor Restate, so a late job undoes a younger one. It keeps no history.

    python -m benchmarks.minimal PORT ADMIN
"""

import asyncio
import sys
from functools import partial

import uvloop
from restate import Context, ObjectContext, Service, VirtualObject

from benchmarks.bare import AS_JSON, OPTIONS, Document, now, serve

SERVICE = "Minimal"


async def acquire(ctx: ObjectContext, job_id: str) -> None:
    """Give the lock to a job once the holder has ended."""
    holder = await ctx.get("holder", type_hint=str)
    if holder:
        await ctx.attach_invocation(holder, type_hint=dict)
    ctx.set("holder", job_id)


async def complete(ctx: ObjectContext, job_id: str) -> None:
    """Free the lock, so that the next job does not wait for the end of this one."""
    if await ctx.get("holder", type_hint=str) == job_id:
        ctx.set("holder", "")


async def apply(resources: dict[str, Document], job: Document) -> Document:
    """Apply the configuration."""
    tenant = job["tenant_uuid"]
    before = resources.get(tenant)
    resources[tenant] = job["desired_config"]
    return {"outcome": "created" if before is None else "updated", "ended_at": now()}


def services() -> tuple[Service, VirtualObject]:
    """Build the public service, and the private lock object that it calls."""
    resources: dict[str, Document] = {}
    lock = VirtualObject(f"{SERVICE}Tenant", **OPTIONS)
    jobs = Service(SERVICE, **OPTIONS)

    @lock.handler("acquire", ingress_private=True)
    async def _acquire(ctx: ObjectContext, job_id: str) -> None:
        await acquire(ctx, job_id)

    @lock.handler("complete", ingress_private=True)
    async def _complete(ctx: ObjectContext, job_id: str) -> None:
        await complete(ctx, job_id)

    @jobs.handler("execute")
    async def _execute(ctx: Context, job: Document) -> Document:
        job_id, tenant = ctx.request().id, job["tenant_uuid"]
        await ctx.object_call(_acquire, key=tenant, arg=job_id)
        applied = await ctx.run_typed("apply", partial(apply, resources, job), AS_JSON)
        ctx.object_send(_complete, key=tenant, arg=job_id)
        return {"execution_id": job_id, "state": "succeeded", "output": applied}

    return jobs, lock


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(services(), int(sys.argv[1]), sys.argv[2]))
