"""The comparison service: it does the worker's work on Restate, by hand and without a framework.

The service has the same two steps, the same call and send, and the same state. It sends the same
requests to Landlord and to Restate's admin API. It uses dictionaries and the SDK's own serialisation.
It has no settings, failures, holds, drains, logs and deletes, which successful jobs do not need.

    python -m benchmarks.bare PORT ADMIN LANDLORD
"""

import asyncio
import hashlib
import json
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

import aiohttp
import restate
import uvicorn
import uvloop
from restate import (
    Context,
    InvocationRetryPolicy,
    ObjectContext,
    RunOptions,
    Service,
    VirtualObject,
)
from restate.serde import BytesSerde, JsonSerde

SERVICE = "Bare"
CACHE_TTL = 300.0
HISTORY = 50

OPTIONS: dict[str, Any] = {
    "abort_timeout": timedelta(minutes=10),
    "idempotency_retention": timedelta(days=7),
    "journal_retention": timedelta(days=1),
    "invocation_retry_policy": InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        exponentiation_factor=2.0,
        max_interval=timedelta(seconds=2),
        max_attempts=2_147_483_647,
        on_max_attempts="pause",
    ),
}

SERVER: dict[str, Any] = {
    "http": "httptools",
    "ws": "none",
    "lifespan": "off",
    "proxy_headers": False,
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "date_header": False,
    "timeout_keep_alive": 75,
}

Document = dict[str, Any]

# Without it the SDK inspects the signature of each step's function, which costs 7 % of a job.
AS_JSON: RunOptions[Document] = RunOptions(serde=JsonSerde())


def now() -> str:
    """Return the time as RFC 3339 text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Backends:
    """Landlord, Restate's admin API, and a target in memory."""

    def __init__(self, http: aiohttp.ClientSession, admin: str, landlord: str) -> None:
        self.http = http
        self.admin = admin
        self.landlord = landlord
        self.cache: dict[str, tuple[float, Any]] = {}
        self.resources: dict[str, Document] = {}

    async def tenant(self, tenant: str) -> Document:
        """Read a tenant from Landlord."""
        url = f"{self.landlord}/v1/tenants/{tenant}"
        async with self.http.get(url, headers={"Cache-Control": "no-cache"}) as response:
            response.raise_for_status()
            document: Document = json.loads(await response.read())
            return document

    async def defaults(self) -> Document:
        """Read Landlord's defaults for the compute engine."""
        url = f"{self.landlord}/v1/compute/config"
        async with self.http.get(url, params={"provider": "mock"}) as response:
            response.raise_for_status()
            defaults: Document = json.loads(await response.read())["defaults"]
            return defaults

    async def cached(self, key: str, fetch: Callable[[], Awaitable[Any]]) -> Any:
        """Return an answer of Landlord's API from the cache, or ask."""
        until, value = self.cache.get(key, (0.0, None))
        if monotonic() >= until:
            value = await fetch()
            self.cache[key] = (monotonic() + CACHE_TTL, value)
        return value

    async def invocations(self, *ids: str) -> dict[str, Document]:
        """Ask Restate for the creation time and the status of these invocations."""
        quoted_ids = ", ".join(f"'{identifier}'" for identifier in ids)
        columns = "id, created_at, status, completion_result"
        sql = f"SELECT {columns} FROM sys_invocation_status WHERE id IN ({quoted_ids})"  # noqa: S608  # Restate's own ids
        headers = {"Accept": "application/json"}
        url = f"{self.admin}/query"
        async with self.http.post(url, json={"query": sql}, headers=headers) as response:
            if response.connection is not None and response.connection.transport is not None:
                # Without a quick ACK, Restate delays the answer's second segment for up to 40 ms.
                client_socket = response.connection.transport.get_extra_info("socket")
                client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            response.raise_for_status()
            rows: list[Document] = json.loads(await response.read())["rows"]
            return {row["id"]: row for row in rows}


async def resolve(backends: Backends, job: Document) -> Document:
    """Ask Landlord which engine the tenant has."""
    tenant = job["tenant_uuid"]
    key = f"{tenant} {json.dumps(job['desired_config'], sort_keys=True)}"
    document = await backends.cached(key, lambda: backends.tenant(tenant))
    await backends.cached("defaults", backends.defaults)
    engine = document["labels"]["compute_provider"]
    return {
        "started_at": now(),
        "placement": {"engine": engine, "location": "", "resource_ids": {}},
    }


async def apply(backends: Backends, job: Document) -> Document:
    """Apply the configuration."""
    tenant = job["tenant_uuid"]
    config = {**await backends.cached("defaults", backends.defaults), **job["desired_config"]}
    before = backends.resources.get(tenant)
    backends.resources[tenant] = config
    text = json.dumps(config, sort_keys=True)
    changed = [] if before is None else [key for key in config if config[key] != before.get(key)]
    updated = "updated" if changed else "unchanged"
    return {
        "outcome": "created" if before is None else updated,
        "config_hash": hashlib.sha256(text.encode()).hexdigest(),
        "changes": [f"{key} changed" for key in changed],
        "placement": {"engine": "mock", "location": "", "resource_ids": {"tenant": tenant}},
        "removed": [],
        "rolled_back": "",
    }


async def confirm(backends: Backends, job: Document, applied: Document) -> Document:
    """Compare the result with Landlord once more."""
    tenant = job["tenant_uuid"]
    assert tenant in backends.resources
    document = await backends.tenant(tenant)
    if document["status"] in {"provisioning", "updating", "ready"}:
        assert document["desired_config"] == job["desired_config"]
    return {"ended_at": now(), "applied": applied, "detail": ""}


async def apply_and_confirm(backends: Backends, job: Document) -> Document:
    """Apply the configuration, then confirm it."""
    return await confirm(backends, job, await apply(backends, job))


async def claim(backends: Backends, job_id: str, holder: Document) -> Document:
    """Ask Restate whether another job was dispatched later."""
    other = holder["execution_id"]
    known = holder["dispatched"]
    rows = await backends.invocations(*((job_id,) if known else (job_id, other)))
    own_created_at = rows[job_id]["created_at"]
    holder_created_at = known or rows[other]["created_at"]
    later = datetime.fromisoformat(holder_created_at) > datetime.fromisoformat(own_created_at)
    return {"verdict": "superseded" if later else "free", "dispatched": own_created_at}


def with_end(record: Document, transition: Document) -> Document:
    """Copy a record with the end of a job."""
    others = [t for t in record["transitions"] if t["execution_id"] != transition["execution_id"]]
    placements = [
        p for p in record["placements"] if p["engine"] != transition["placement"]["engine"]
    ]
    return {
        "placements": [*placements, transition["placement"]],
        "transitions": [*others, transition],
        "deleted": False,
    }


def with_start(record: Document, job_id: str, note: Document) -> Document:
    """Copy a record with the start of a job, without the transitions of earlier jobs."""
    start = {
        **dict.fromkeys(("outcome", "config_hash", "detail"), ""),
        **dict.fromkeys(("ended_at", "placement")),
        **dict.fromkeys(("changes", "removed"), ()),
        "execution_id": job_id,
        "operation": note["operation"],
        "started_at": note["started_at"],
    }
    return {
        "placements": record["placements"] or [note["placement"]],
        "transitions": [start],
        "deleted": False,
    }


async def acquire(backends: Backends, ctx: ObjectContext, request: Document) -> Document:
    """Give the lock to a job once the holder has ended."""
    job_id = request["execution_id"]
    empty: Document = {"holder": None, "record": {"placements": [], "transitions": []}}
    state: Document = await ctx.get("lock", type_hint=dict) or empty
    holder, record = state["holder"], state["record"]
    claimed: Document = {"verdict": "free", "dispatched": ""}
    if holder is not None:
        fetch = partial(claim, backends, job_id, holder)
        claimed = await ctx.run_typed("claim", fetch, AS_JSON)
    if claimed["verdict"] == "superseded":
        return {"record": record, "superseded_by": holder["execution_id"]}
    if holder is not None and not all(
        transition["ended_at"] for transition in record["transitions"]
    ):
        answer = await ctx.attach_invocation(holder["execution_id"], type_hint=dict)
        record = with_end(record, answer["output"]["transition"])
    lines = (await ctx.get("past", serde=BytesSerde()) or b"").splitlines()
    lines += [json.dumps(transition).encode() for transition in record["transitions"]]
    ctx.set("past", b"\n".join(lines[-HISTORY:]), serde=BytesSerde())
    record = with_start(record, job_id, request["note"])
    holder = {
        "execution_id": job_id,
        "since": request["note"]["started_at"],
        "dispatched": claimed["dispatched"],
        "operation": request["note"]["operation"],
        "is_resync": False,
    }
    kept = dict.fromkeys(("followed", "preempted"), False)
    ctx.set("lock", {"holder": holder, "record": record, "resync": None, **kept})
    return {"record": record, "superseded_by": ""}


async def complete(ctx: ObjectContext, transition: Document) -> None:
    """Write a job's transition into the record, if the job is still the holder."""
    state: Document | None = await ctx.get("lock", type_hint=dict)
    if state is None or state["holder"]["execution_id"] != transition["execution_id"]:
        return
    ctx.set("lock", {**state, "record": with_end(state["record"], transition)})


def services(backends: Backends) -> tuple[Service, VirtualObject]:
    """Build the public service, and the private lock object that it calls."""
    lock = VirtualObject(f"{SERVICE}Tenant", **OPTIONS)
    jobs = Service(SERVICE, **OPTIONS)

    @lock.handler("acquire", ingress_private=True)
    async def _acquire(ctx: ObjectContext, request: Document) -> Document:
        return await acquire(backends, ctx, request)

    @lock.handler("complete", ingress_private=True)
    async def _complete(ctx: ObjectContext, transition: Document) -> None:
        await complete(ctx, transition)

    @jobs.handler("execute")
    async def _execute(ctx: Context, job: Document) -> Document:
        job_id, tenant = ctx.request().id, job["tenant_uuid"]
        resolved = await ctx.run_typed("resolve", partial(resolve, backends, job), AS_JSON)
        note = {"operation": job["operation"], **resolved}
        acquired = await ctx.object_call(
            _acquire, key=tenant, arg={"execution_id": job_id, "note": note}
        )
        if acquired["superseded_by"]:
            return {"execution_id": job_id, "state": "cancelled"}
        confirmed = await ctx.run_typed("apply", partial(apply_and_confirm, backends, job), AS_JSON)
        transition = transition_of(job_id, job, resolved, confirmed)
        ctx.object_send(_complete, key=tenant, arg=transition)
        return answer_of(job, transition)

    return jobs, lock


def transition_of(job_id: str, job: Document, resolved: Document, confirmed: Document) -> Document:
    """Build the transition of an ended job."""
    applied = {key: value for key, value in confirmed["applied"].items() if key != "rolled_back"}
    return {
        **applied,
        "execution_id": job_id,
        "operation": job["operation"],
        "started_at": resolved["started_at"],
        "ended_at": confirmed["ended_at"],
        "detail": confirmed["detail"],
    }


def answer_of(job: Document, transition: Document) -> Document:
    """Build Landlord's ExecutionStatus."""
    return {
        "execution_id": transition["execution_id"],
        "workflow_id": "",
        "provider_type": "restate",
        "state": "succeeded",
        "start_time": transition["started_at"],
        "stop_time": transition["ended_at"],
        "input": None,
        "output": {
            "tenant_id": job["tenant_uuid"],
            "provider_type": "mock",
            "status": transition["outcome"],
            "resource_ids": transition["placement"]["resource_ids"],
            "changes": transition["changes"],
            "message": "",
            "transition": transition,
        },
    }


async def main(port: int, admin: str, landlord: str) -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        await serve(services(Backends(http, admin, landlord)), port, admin)


async def serve(components: Sequence[Service | VirtualObject], port: int, admin: str) -> None:
    """Listen, register, and serve until killed."""
    # The socket listens from here on, so Restate's discovery waits in its backlog for the server.
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    config = uvicorn.Config(restate.app(components), **SERVER)
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listener]))
    deployment = {"uri": f"http://127.0.0.1:{port}", "use_http_11": True, "force": False}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{admin}/deployments", json=deployment) as response,
    ):
        response.raise_for_status()
    await serving


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), *sys.argv[2:]))
