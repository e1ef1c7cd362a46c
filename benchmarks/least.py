"""The smallest service by hand: it runs a tenant's jobs one after the other, in one step each.

The difference to [`benchmarks.bare`][] is the cost of the guarantees. The service asks neither
Landlord nor Restate, so a late job undoes a younger one. It keeps no history.

    python -m benchmarks.least PORT ADMIN
"""

import asyncio
import sys
from functools import partial

import uvloop
from restate import Context, ObjectContext, Service, VirtualObject

from benchmarks.bare import AS_JSON, OPTIONS, Document, now, serve

SERVICE = "Least"


async def take(ctx: ObjectContext, me: str) -> None:
    """Give the lock to a job once the holder has ended."""
    holder = await ctx.get("holder", type_hint=str)
    if holder:
        await ctx.attach_invocation(holder, type_hint=dict)
    ctx.set("holder", me)


async def end(ctx: ObjectContext, me: str) -> None:
    """Let the next job in without a wait."""
    if await ctx.get("holder", type_hint=str) == me:
        ctx.set("holder", "")


async def apply(resources: dict[str, Document], job: Document) -> Document:
    """Put the configuration in force."""
    tenant = job["tenant_uuid"]
    before = resources.get(tenant)
    resources[tenant] = job["desired_config"]
    return {"outcome": "created" if before is None else "updated", "ended_at": now()}


def services() -> tuple[Service, VirtualObject]:
    """The service that is called, and the private object that it calls."""
    resources: dict[str, Document] = {}
    lock = VirtualObject(f"{SERVICE}Tenant", **OPTIONS)
    jobs = Service(SERVICE, **OPTIONS)

    @lock.handler("acquire", ingress_private=True)
    async def _take(ctx: ObjectContext, me: str) -> None:
        await take(ctx, me)

    @lock.handler("complete", ingress_private=True)
    async def _end(ctx: ObjectContext, me: str) -> None:
        await end(ctx, me)

    @jobs.handler("execute")
    async def _execute(ctx: Context, job: Document) -> Document:
        me, tenant = ctx.request().id, job["tenant_uuid"]
        await ctx.object_call(_take, key=tenant, arg=me)
        applied = await ctx.run_typed("apply", partial(apply, resources, job), AS_JSON)
        ctx.object_send(_end, key=tenant, arg=me)
        return {"execution_id": me, "state": "succeeded", "output": applied}

    return jobs, lock


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(services(), int(sys.argv[1]), sys.argv[2]))
