"""A soak: jobs without end on one worker, with a look at it every few thousand."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import psutil

from benchmarks.processes import Place, our_worker, seen
from benchmarks.soak.churn import Churn, Landlord
from benchmarks.soak.lives import all_tenants
from benchmarks.soak.samples import Sample, look, state
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local import RestateServer, free_ports, server_binary
from landlord_engines_restate.server import HttpServer, listening_socket

__all__ = ["Plan", "Soaked", "soak"]

SETTLE_AFTER = "1s"
KEEP_HISTORY = "3s"

ENTRIES = 2
"""Entries of state for each tenant that is there: its turn, and its past."""

LOOK_AGAIN = 1.0
IDLE_WITHIN = 300.0
"""Seconds; the last settling, or forgetting, comes three after the last job."""


@attrs.frozen(kw_only=True)
class Plan:
    """How long a soak is.

    Attributes:
        jobs: Jobs in all.
        tenants: Tenants, three quarters of which are there at any time.
        every: Jobs between two looks.
        clients: Jobs under way at once.
    """

    jobs: int = 100_000
    tenants: int = 10_000
    every: int = 2_500
    clients: int = 32


@attrs.frozen(kw_only=True)
class Soaked:
    """What was seen so far, and what the tenants went through."""

    plan: Plan
    samples: Sequence[Sample]
    visits: Counter[str]


async def soak(plan: Plan) -> AsyncIterator[Soaked]:
    """Run a soak on a restate-server and a worker of its own; tells all that was seen at each look.

    Raises:
        AssertionError: A job did something else than it should, a deleted tenant is not
            forgotten, or a living one has no state.
        TimeoutError: Something stays under way.
    """
    with tempfile.TemporaryDirectory(prefix="landlord-soak-") as name:
        folder = Path(name)
        server = RestateServer(binary=await server_binary(), folder=folder / "restate")
        await server.start()
        try:
            async with aiohttp.ClientSession() as http, _landlord() as (landlord, url):
                place = Place(
                    folder=folder,
                    ingress=server.endpoint,
                    admin=server.admin_endpoint,
                    landlord=url,
                )
                async for soaked in _soaked(plan, place, http, landlord, server):
                    yield soaked
        finally:
            await server.stop()


async def _soaked(
    plan: Plan,
    place: Place,
    http: aiohttp.ClientSession,
    landlord: Landlord,
    server: RestateServer,
) -> AsyncIterator[Soaked]:
    admin = AdminClient(place.admin)
    samples: list[Sample] = []
    began = time.monotonic()
    with our_worker(place, settle_after=SETTLE_AFTER, keep_history=KEEP_HISTORY) as worker:
        await seen(http, f"{place.admin}/deployments", worker.uri)
        churn = Churn(
            landlord=landlord,
            worker=worker,
            execute=f"{place.ingress}/{worker.service}/execute",
            http=http,
            admin=admin,
            tenants=all_tenants(plan.tenants),
            clients=plan.clients,
        )
        for goal in range(plan.every, plan.jobs + 1, plan.every):
            await churn.until(goal)
            await _idle(churn)
            samples.append(
                await look(
                    http,
                    admin,
                    worker,
                    _process_of(server),
                    jobs=churn.jobs,
                    seconds=time.monotonic() - began,
                )
            )
            yield Soaked(plan=plan, samples=samples, visits=churn.visits)
    await admin.aclose()


async def _idle(churn: Churn) -> None:
    """Wait until nothing is under way nor to come; then exactly the tenants there have a state."""
    look = "SELECT id FROM sys_invocation_status WHERE status <> 'completed' LIMIT 1"
    async with asyncio.timeout(IDLE_WITHIN):
        while await churn.admin.query(look):
            await asyncio.sleep(LOOK_AGAIN)
    entries, _ = await state(churn.admin, churn.worker)
    assert entries == ENTRIES * churn.living, f"{entries} entries for {churn.living} tenants"


def _process_of(server: RestateServer) -> tuple[psutil.Process, Path]:
    (process,) = (
        one
        for one in psutil.Process().children()
        if one.is_running() and "restate-server" in " ".join(one.cmdline())
    )
    return process, server.folder


@asynccontextmanager
async def _landlord() -> AsyncIterator[tuple[Landlord, str]]:
    """Landlord's API in this very process, which knows what it wants."""
    landlord, listens = Landlord(), asyncio.Event()
    port = free_ports()[0]
    server = HttpServer(landlord)
    serving = asyncio.create_task(server.serve(listening_socket("127.0.0.1", port), listens.set))
    try:
        await listens.wait()
        yield landlord, f"http://127.0.0.1:{port}"
    finally:
        await server.stop(grace=1)
        await serving
