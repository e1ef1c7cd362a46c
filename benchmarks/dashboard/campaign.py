"""A small campaign that moves the panels: users of tenants, faults, and a rollout.

Landlord in memory dispatches the jobs to a real restate-server. Two real workers run them one after the
other. Tenants are processes. The target of the second compute engine, Docker, is away.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import attrs

from benchmarks.dashboard.prometheus import Prometheus
from landlord_engines_core.compute import ComputeEngine, ComputeRegistry
from landlord_engines_core.dev.user import User
from landlord_engines_core.devserver import landlord_in_memory
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.landlord import add_version
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.dispatcher import RestateDispatcher
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.compute_engines import process_engine
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.waiting import free_port
from landlord_test_target.worker import Worker

__all__ = ["run_campaign"]

SERVICE = "TenantProvisioning"
USERS = 6
"""Tenants that are created, updated and deleted at the same time."""

PHASE = 30.0
"""Seconds of each phase of the campaign."""

COMMAND = ["/bin/sleep", "1000"]


@attrs.frozen(kw_only=True)
class Campaign:
    """The running servers, workers and tenants.

    Attributes:
        landlord: The URL of Landlord's API, its version included.
        process: The compute engine, to destroy the tenants at the end.
        workers: The workers that were started.
        unknown_tenants: Tenants that Landlord does not know.
    """

    folder: Path
    restate: RestateServer
    dispatcher: Dispatcher
    landlord: str
    process: ComputeEngine
    workers: list[Worker] = attrs.field(factory=list)
    unknown_tenants: tuple[str, ...] = attrs.field(
        factory=lambda: tuple(str(uuid4()) for _ in range(5))
    )

    async def start_worker(self) -> Worker:
        """Start a worker and wait until it is registered."""
        restate = {
            "endpoint": self.restate.endpoint,
            "admin_endpoint": self.restate.admin_endpoint,
            "worker_address": f"127.0.0.1:{free_port()}",
            "worker_landlord_api_url": self.landlord,
        }
        worker = {
            "probe_address": f"127.0.0.1:{free_port()}",
            "compute_provider": "process",
            "drain_timeout": "30s",
            "resync_after": "20s",
            "hold_retry_interval": "5s",
        }
        compute = {
            "process": {"folder": str(self.folder / "tenants")},
            "docker": {"host": f"unix://{self.folder}/absent.sock"},
        }
        config = {"compute": compute, "workflow": {"restate": restate}, "worker": worker}
        started = await Worker(config=config, folder=self.folder, may_fork=False).start()
        self.workers.append(started)
        return await started.wait_registered()

    async def dispatch_unknown(self, provider: str, **config: object) -> None:
        """Dispatch a job for each of the tenants that Landlord does not know."""
        for tenant in self.unknown_tenants:
            document = {
                "tenant_uuid": tenant,
                "operation": "provision",
                "compute_provider": provider,
                "desired_config": config,
            }
            await self.dispatcher.dispatch(json.dumps(document).encode())

    async def stop(self, user: User) -> None:
        """End the workers, and destroy what they made."""
        for worker in self.workers:
            await worker.kill()
        location = self.process.location({})
        for tenant in (*self.unknown_tenants, *await user.tenants()):
            await self.process.destroy(tenant, location)


async def run_campaign(folder: Path, prometheus: Prometheus) -> None:
    """Run the campaign to its end."""
    async with _start_servers(folder) as campaign, User.connect(campaign.landlord) as user:
        try:
            first = await campaign.start_worker()
            prometheus.scrape(first=first.probe_address)
            async with asyncio.TaskGroup() as group:
                user_tasks = [
                    group.create_task(_run_tenants(user, number)) for number in range(USERS)
                ]
                await _run_phases(campaign, first, prometheus)
                for user_task in user_tasks:
                    user_task.cancel()
        finally:
            await campaign.stop(user)


async def _run_phases(campaign: Campaign, first: Worker, prometheus: Prometheus) -> None:
    await asyncio.sleep(PHASE)
    # No worker has this compute engine, so the jobs are held.
    await campaign.dispatch_unknown("nomad")
    await asyncio.sleep(PHASE)
    # Later jobs preempt them, and are retried while their target is away.
    await campaign.dispatch_unknown("docker", image="sesame")
    await campaign.dispatcher.dispatch(b"{")
    await asyncio.sleep(PHASE)
    second = await campaign.start_worker()
    prometheus.scrape(first=first.probe_address, second=second.probe_address)
    await asyncio.sleep(PHASE)
    await first.terminate()
    await campaign.dispatch_unknown("process", command=COMMAND)
    await asyncio.sleep(PHASE)


async def _run_tenants(user: User, number: int) -> None:
    """Create, update and delete tenants one after the other."""
    for count in itertools.count():
        tenant = await user.create(f"tenant-{number}-{count}", {"command": COMMAND})
        await user.wait_ready(tenant)
        await user.update(tenant, {"command": COMMAND, "env": {"VERSION": str(count)}})
        await user.wait_ready(tenant)
        await user.delete(tenant)
        await user.wait_for("the tenant gone", partial(_is_gone, user, tenant))


async def _is_gone(user: User, tenant: str) -> bool:
    status: str = (await user.tenant(tenant)).get("status", "archived")
    return status == "archived"


@asynccontextmanager
async def _start_servers(folder: Path) -> AsyncIterator[Campaign]:
    """Start restate-server and Landlord in memory."""
    server = RestateServer(binary=await server_binary(), folder=folder / "restate")
    await server.start()
    admin = AdminClient(server.admin_endpoint)
    process = process_engine({"folder": str(folder / "tenants")})
    dispatcher = RestateDispatcher(ingress=server.endpoint, admin=admin, service=SERVICE)
    try:
        async with landlord_in_memory(
            dispatcher, compute=ComputeRegistry({"process": process}), logger=RecordingLogger()
        ) as landlord:
            yield Campaign(
                folder=folder,
                restate=server,
                dispatcher=dispatcher,
                landlord=add_version(landlord.url),
                process=process,
            )
    finally:
        await admin.aclose()
        await server.stop()
