"""Compares the worker with services written by hand: `nox -s bench`, with `-- --short` a few minutes.

One restate-server and a stub of Landlord's API serve three workers: landlord-host, a bare service that
makes the same calls, and the minimal service. Each is a process of its own, and they get jobs in turns.
The benchmark exits with 1 only if a job costs the worker more than 1.5 times the bare service's cost.
`--before` adds another version of landlord-host, and `--traces` one that exports traces. `--docker`
measures containers on a real Docker daemon instead, see `benchmarks.containers`.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp

from benchmarks import containers
from benchmarks.load import Load
from benchmarks.measure import LONG, SHORT, Plan, Side, make_side, measure, measure_starts
from benchmarks.processes import (
    Location,
    Worker,
    bare_worker,
    find_server,
    minimal_worker,
    our_worker,
    run_landlord_stub,
    wait_content,
)
from benchmarks.report import build_table, write
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer

LIMIT = 1.5
"""The highest cost of a job, as a multiple of the bare service's."""

Start = Callable[[Location], AbstractContextManager[Worker]]

SIDES: tuple[tuple[str, Start], ...] = (
    ("landlord-host", our_worker),
    ("bare service", bare_worker),
    ("minimal service", minimal_worker),
)


async def main(plan: Plan, into: Path, before: Path | None, *, traces: bool) -> int:
    """Run the benchmark, write the report, and return the exit code."""
    starters = [*SIDES]
    if traces:
        traced = partial(our_worker, service="TenantProvisioningTraced", traced=True)
        starters.append(("with traces", traced))
    if before is not None:
        other = partial(our_worker, host=before, service="TenantProvisioningBefore")
        starters.append(("before", other))
    async with load() as sender:
        deployments = f"{sender.location.admin}/deployments"
        start_times = [await measure_starts(sender, start, plan.starts) for _, start in starters]
        with ExitStack() as workers:
            sides: list[Side] = []
            for (name, start), times in zip(starters, start_times, strict=True):
                worker = workers.enter_context(start(sender.location))
                await wait_content(sender.http, deployments, worker.uri)
                sides.append(make_side(name, worker, times, plan))
            await measure(sender, plan, sides)
    write(into, plan, sides)
    print(build_table(plan, sides))
    ours, bare = (
        side.median_of("update", lambda measured: measured.worker_cpu_ms) for side in sides[:2]
    )
    return int(ours / bare > LIMIT)


@asynccontextmanager
async def load() -> AsyncIterator[Load]:
    """Start the servers that the workers need."""
    async with aiohttp.ClientSession() as http:
        with tempfile.TemporaryDirectory(prefix="landlord-bench-") as folder:
            server = RestateServer(binary=await server_binary(), folder=Path(folder) / "restate")
            await server.start()
            admin = AdminClient(server.admin_endpoint)
            try:
                with run_landlord_stub(Path(folder)) as landlord:
                    await wait_content(http, f"{landlord}/counts")
                    location = Location(
                        folder=Path(folder),
                        ingress=server.endpoint,
                        admin=server.admin_endpoint,
                        landlord=landlord,
                    )
                    yield Load(location=location, server=find_server(), http=http, admin=admin)
            finally:
                await admin.aclose()
                await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="a few minutes' worth, for development"
    )
    parser.add_argument("--docker", action="store_true", help="measure containers instead")
    results = Path(__file__).with_name("results")
    parser.add_argument("--into", type=Path, default=results, help="the folder for results")
    parser.add_argument("--before", type=Path, help="another version's landlord-host")
    parser.add_argument("--traces", action="store_true", help="add a worker that exports traces")
    chosen = parser.parse_args()
    if chosen.docker:
        plan = containers.SHORT if chosen.short else containers.LONG
        sys.exit(asyncio.run(containers.measure(plan)))
    size = SHORT if chosen.short else LONG
    sys.exit(asyncio.run(main(size, chosen.into, chosen.before, traces=chosen.traces)))
