"""A soak: very many jobs on one worker, with a sample every few thousand."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs

from benchmarks.processes import Location, our_worker, wait_content
from benchmarks.soak.churn import Churn, Landlord
from benchmarks.soak.lifetimes import create_tenants
from benchmarks.soak.samples import Sample, read_state, take_sample
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.endpoint.server import HttpServer, open_sockets
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.in_memory import RecordingLogger

__all__ = ["Plan", "SoakResults", "soak"]

SHORT_TIMES = {
    "resync_after": "1s",
    "health_timeout": "2s",
    "step_timeout": "10s",
    "history_retention": "35s",
}
"""Short times, so that resyncs and forgetting happen all the time; history outlasts the last resync."""

ENTRIES_PER_TENANT = 2
"""Entries of state for each living tenant: its lock, and its past."""

POLL_INTERVAL = 1.0
IDLE_TIMEOUT = 300.0
"""Seconds to wait for idleness; a tenant is forgotten 35 s after its last job."""


@attrs.frozen(kw_only=True)
class Plan:
    """The size of a soak.

    Attributes:
        jobs: The number of jobs.
        tenants: The number of tenants; three quarters of them have a resource at any time.
        every: The number of jobs between two samples.
        clients: The number of simultaneous jobs.
    """

    jobs: int = 100_000
    tenants: int = 10_000
    every: int = 4_000
    clients: int = 32


@attrs.frozen(kw_only=True)
class SoakResults:
    """The samples so far, and the lifetimes of the tenants."""

    plan: Plan
    samples: Sequence[Sample]
    operations: Counter[str]


async def soak(plan: Plan) -> AsyncIterator[SoakResults]:
    """Run a soak on a restate-server and a worker of its own, and yield all results at each sample.

    Raises:
        AssertionError: A job has another result than expected, a deleted tenant is not forgotten, or
            a living one has no state.
        TimeoutError: A job or a call does not end.
    """
    samples: list[Sample] = []
    async with _start_all(plan) as (churn, server):
        began = time.monotonic()
        for goal in range(plan.every, plan.jobs + 1, plan.every):
            await churn.run_until(goal)
            await _wait_idle(churn)
            seconds = time.monotonic() - began
            samples.append(await take_sample(churn, server, seconds))
            yield SoakResults(plan=plan, samples=samples, operations=churn.operations)


@asynccontextmanager
async def _start_all(plan: Plan) -> AsyncIterator[tuple[Churn, RestateServer]]:
    """Start all servers and wait until the worker is registered."""
    with tempfile.TemporaryDirectory(prefix="landlord-soak-") as name:
        server = RestateServer(binary=await server_binary(), folder=Path(name) / "restate")
        await server.start()
        admin = AdminClient(server.admin_endpoint)
        try:
            async with aiohttp.ClientSession() as http, _run_landlord() as (landlord, url):
                location = Location(
                    folder=Path(name),
                    ingress=server.endpoint,
                    admin=server.admin_endpoint,
                    landlord=url,
                )
                with our_worker(location, settings=SHORT_TIMES) as worker:
                    await wait_content(http, f"{location.admin}/deployments", worker.uri)
                    churn = Churn(
                        landlord=landlord,
                        worker=worker,
                        execute=f"{location.ingress}/{worker.service}/execute",
                        http=http,
                        admin=admin,
                        tenants=create_tenants(plan.tenants),
                        clients=plan.clients,
                    )
                    yield churn, server
        finally:
            await admin.aclose()
            await server.stop()


async def _wait_idle(churn: Churn) -> None:
    """Wait until no call is open or scheduled, and check that exactly the living tenants have a state."""
    sql = "SELECT id FROM sys_invocation_status WHERE status <> 'completed' LIMIT 1"
    async with asyncio.timeout(IDLE_TIMEOUT):
        while await churn.admin.query(sql):
            await asyncio.sleep(POLL_INTERVAL)
    entries, _ = await read_state(churn)
    assert entries == ENTRIES_PER_TENANT * churn.with_resource, (
        f"{entries} entries for {churn.with_resource} tenants"
    )


@asynccontextmanager
async def _run_landlord() -> AsyncIterator[tuple[Landlord, str]]:
    """Run Landlord's API in this process, which has the desired states."""
    landlord, is_listening = Landlord(), asyncio.Event()
    listeners = open_sockets("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    server = HttpServer(landlord, most_connections=1000, logger=RecordingLogger())
    serving = asyncio.create_task(server.serve(listeners, is_listening.set))
    try:
        await is_listening.wait()
        yield landlord, f"http://127.0.0.1:{port}"
    finally:
        await server.stop(grace=1)
        await serving
