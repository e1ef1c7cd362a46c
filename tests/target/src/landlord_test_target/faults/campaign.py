"""The parts of a campaign: Landlord in memory, restate-server, workers, the target.

All connections of the workers go through proxies that can be cut. A balancer picks a worker at random.
The workers' admin API is a proxy that shows the clocks of different nodes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import time
from typing import Any
from uuid import uuid4

import aiohttp
import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_engines_core.tenants.limits import MARGIN
from landlord_test_target.engine import TargetCompute
from landlord_test_target.faults.bugs import BuggyCompute
from landlord_test_target.faults.cuttable_proxy import CuttableProxy, run_cuttable_proxy
from landlord_test_target.faults.fleet import Fleet, start_fleet
from landlord_test_target.faults.late import LateDispatcher
from landlord_test_target.faults.skewing_proxy import SkewingProxy, run_skewing_proxy
from landlord_test_target.harness import Harness, Worker
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import ApiUser
from landlord_test_target.waiting import wait_for

__all__ = ["Campaign", "CampaignOptions", "start_campaign"]

INTERVALS = Intervals(reconcile=0.2, poll=0.2, retry=1.0, kill=0.2)
"""Landlord's intervals. Landlord gives up after five rounds, and campaigns test that too."""

QUIET_CHECKS = 4

LONGEST_CALL = aiohttp.ClientTimeout(total=10)
"""Seconds in which a working restate-server completes a call through a worker."""

PARTITIONS = 24
"""The number of partitions of a restate-server by default."""


@attrs.frozen(kw_only=True)
class CampaignOptions:
    """The options of a campaign; times are seconds.

    Attributes:
        bug: The bug of the engine ``buggy``; without a bug there is no such engine.
        workers: The number of workers of the first version, behind one address.
        second: Whether there is a second version.
        skew: The largest difference between the clocks of Restate's nodes.
        seed: The seed that assigns jobs to clocks and workers.
        step_timeout: The workers' setting. After a longer freeze, Restate has given up the attempt.
        carry: The longest time for which an engine carries a request, in seconds.
        resync_after: The workers' setting.
        asks_landlord: Whether the workers know the address of Landlord's API.
        worker: Further settings of the workers.
    """

    bug: str = ""
    workers: int = 1
    second: bool = False
    skew: float = 0.0
    seed: int = 1
    step_timeout: float = 10.0
    carry: float = 5.0
    resync_after: float = 2.0
    asks_landlord: bool = True
    worker: Mapping[str, object] = attrs.field(factory=dict)

    @property
    def longest_life(self) -> float:
        """Return the seconds after a job's end in which its acts and its last resync must have ended.

        The last resync comes `longest_act` and a margin after the first, and takes a step at most.
        """
        return self.resync_after + self.longest_act + MARGIN + self.longest_act

    @property
    def longest_act(self) -> float:
        """Return the maximum seconds of an act, including the request that a cancellation waits for."""
        return self.step_timeout + self.carry

    def settings(self) -> dict[str, Any]:
        """Build the section ``worker`` of the settings."""
        return {
            "drain_timeout": "5s",
            "health_timeout": f"{self.step_timeout / 2:g}s",
            "step_timeout": f"{self.step_timeout:g}s",
            "resync_after": f"{self.resync_after:g}s",
            **self.worker,
        }


@attrs.define(kw_only=True)
class Campaign:
    """The running parts of a campaign.

    Attributes:
        fleets: The workers, by version; the first version always exists.
        late_dispatcher: Landlord's dispatcher.
        clocks: The proxy that workers ask for the times of jobs.
        to_landlord: The workers' connection to Landlord.
        to_target: The workers' connection to the target.
    """

    options: CampaignOptions
    harness: Harness
    landlord: ApiUser
    late_dispatcher: LateDispatcher
    clocks: SkewingProxy
    to_landlord: CuttableProxy
    to_target: CuttableProxy
    fleets: list[Fleet] = attrs.field(factory=list)

    @property
    def proxies(self) -> tuple[CuttableProxy, ...]:
        """List all connections that can be cut."""
        return self.to_landlord, self.to_target, *(fleet.proxy for fleet in self.fleets)

    @property
    def worker(self) -> Worker:
        """Return the only worker."""
        return self.fleets[0].routed[0]

    async def restart_worker(self) -> None:
        """Start a worker in place of the ended ones, and return once it listens."""
        first = self.fleets[0]
        first.routed = [worker for worker in first.routed if worker.is_running]
        await first.start()

    async def restart_server(self) -> None:
        """Start the killed restate-server, and return once it leads all its partitions.

        The server answers earlier, while it still replays its log, but runs no job before the end of that.
        """
        led = self._count_led_partitions()
        await self.harness.restate.start()

        async def check() -> bool:
            return self._count_led_partitions() >= led + PARTITIONS

        await wait_for(check, 120)

    async def is_server_working(self) -> bool:
        """Check whether the restate-server completes a call, which it must write into its log."""
        url = f"{self.harness.restate.endpoint}/{self.harness.service}Tenant/{uuid4()}/status"
        try:
            async with self.harness.http.get(url, timeout=LONGEST_CALL) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _count_led_partitions(self) -> int:
        return self.harness.restate.log.read_text(errors="replace").count("became Leader of epoch")

    async def open_jobs(self) -> Sequence[Mapping[str, object]]:
        """List the invocations that Restate has not completed, except scheduled calls of ``forget``."""
        return await self.harness.admin.query(
            "SELECT id, target, status, last_failure FROM sys_invocation"
            f" WHERE target LIKE '{self.harness.service}%' AND status != 'completed'"
            " AND target_handler_name != 'forget'"
        )

    async def wait_no_open_job(self, within: float) -> None:
        """Return once several checks found no open job, or after this many seconds.

        A job that has ended sends its end to the lock, and Restate shows that call a moment later.
        """
        over, quiet_checks = time() + within, 0
        while quiet_checks < QUIET_CHECKS and time() < over:
            quiet_checks = 0 if await self.open_jobs() else quiet_checks + 1
            await asyncio.sleep(2 * INTERVALS.poll)


@asynccontextmanager
async def start_campaign(
    harness: Harness, options: CampaignOptions | None = None
) -> AsyncIterator[Campaign]:
    """Start Landlord, the workers and the proxies of a campaign."""
    options = options or CampaignOptions()
    url = harness.target.url
    engines = {name: TargetCompute(name, url) for name in ("target", "target2")}
    if options.bug:
        engines["buggy"] = BuggyCompute("buggy", url)
    compute = ComputeRegistry(engines)
    late = LateDispatcher(
        dispatcher=harness.dispatcher,
        url=f"{harness.restate.endpoint}/{harness.service}/execute/send",
        seed=options.seed,
    )
    async with AsyncExitStack() as stack:
        landlord = await stack.enter_async_context(
            landlord_in_memory(late, compute=compute, logger=RecordingLogger(), intervals=INTERVALS)
        )
        to_landlord, to_target = [
            await stack.enter_async_context(run_cuttable_proxy(server_url))
            for server_url in (landlord.url, harness.target.url)
        ]
        clocks = await stack.enter_async_context(
            run_skewing_proxy(
                harness.restate.admin_endpoint, seed=options.seed, seconds=options.skew
            )
        )
        campaign = Campaign(
            options=options,
            harness=harness,
            landlord=ApiUser(url=landlord.url, http=harness.http),
            late_dispatcher=late,
            clocks=clocks,
            to_landlord=to_landlord,
            to_target=to_target,
        )
        config = _config(campaign, engines)
        versions = [(config, options.workers)]
        if options.second:
            # The same code with another option, which is part of the manifest.
            other = {**config["worker"], "step_timeout": f"{options.step_timeout + 1:g}s"}
            versions.append(({**config, "worker": other}, 1))
        for shared, size in versions:
            workers = start_fleet(harness, shared, size=size, seed=options.seed)
            campaign.fleets.append(await stack.enter_async_context(workers))
        yield campaign


def _config(campaign: Campaign, engines: Mapping[str, object]) -> dict[str, Any]:
    """Build the settings that all workers share."""
    options = campaign.options
    api = campaign.to_landlord.url if options.asks_landlord else None
    config = campaign.harness.config(api=api, **options.settings())
    config["workflow"]["restate"]["admin_endpoint"] = campaign.clocks.url
    for name in engines:
        section = {"url": campaign.to_target.url, "longest_carry": options.carry}
        config["compute"][name] = section | ({"bug": options.bug} if options.bug else {})
    return config
