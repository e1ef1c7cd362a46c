"""Compares the worker with a service written by hand: `nox -s bench`, with `-- --short` in a minute.

One restate-server, a stub of Landlord's API, landlord-host and the bare service, each a process of
its own; jobs are sent to both in turns. Exits with 1 only where a job costs the worker more than
half as much again as the bare service. With `--docker` it measures containers instead, on a real
Docker engine; see `benchmarks.containers`.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks import containers
from benchmarks.load import Load, tenants
from benchmarks.measure import LONG, SHORT, Plan, Side, measure, starts
from benchmarks.processes import Place, bare_worker, our_worker, seen, stub
from benchmarks.report import table, write
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local import RestateServer, server_binary

LIMIT = 1.5
"""What a job may cost, as a multiple of the bare service's."""

SIDES = (("landlord-host", our_worker), ("bare service", bare_worker))


async def main(plan: Plan, into: Path) -> int:
    """Measure, report, and return the exit code."""
    async with load() as sender:
        deployments = f"{sender.place.admin}/deployments"
        took = [await starts(sender, start, plan.starts) for _, start in SIDES]
        with ExitStack() as workers:
            sides: list[Side] = []
            for (name, start), times in zip(SIDES, took, strict=True):
                worker = workers.enter_context(start(sender.place))
                await seen(sender.http, deployments, worker.uri)
                many = tenants(plan.many)
                sides.append(Side(name=name, worker=worker, starts=times, many_tenants=many))
            ours, bare = sides
            await measure(sender, plan, (ours, bare))
    write(into, plan, ours, bare)
    print(table(plan, ours, bare))
    cost = ours.figure("update", lambda one: one.cost) / bare.figure("update", lambda one: one.cost)
    return int(cost > LIMIT)


@asynccontextmanager
async def load() -> AsyncIterator[Load]:
    """Start all that the workers need."""
    async with aiohttp.ClientSession() as http:
        with tempfile.TemporaryDirectory(prefix="landlord-bench-") as folder:
            server = RestateServer(binary=await server_binary(), folder=Path(folder) / "restate")
            await server.start()
            admin = AdminClient(server.admin_endpoint)
            try:
                with stub(Path(folder)) as landlord:
                    await seen(http, f"{landlord}/counts")
                    place = Place(
                        folder=Path(folder),
                        ingress=server.endpoint,
                        admin=server.admin_endpoint,
                        landlord=landlord,
                    )
                    yield Load(place=place, http=http, admin=admin)
            finally:
                await admin.aclose()
                await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute's worth, for development")
    parser.add_argument("--docker", action="store_true", help="measure containers instead")
    results = Path(__file__).with_name("results")
    parser.add_argument("--into", type=Path, default=results, help="the folder for results")
    chosen = parser.parse_args()
    if chosen.docker:
        plan = containers.SHORT if chosen.short else containers.LONG
        sys.exit(asyncio.run(containers.measure(plan)))
    sys.exit(asyncio.run(main(SHORT if chosen.short else LONG, chosen.into)))
