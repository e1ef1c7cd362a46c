"""The fault campaign: kills, freezes, cut connections, full disks and garbage while jobs run.

The long tests run a short campaign. A long one: `nox -s faults -- --kills 150 --operations 1000 --seed 7`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import attrs
import pytest
import pytest_asyncio

from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.faults.campaign import Campaign, CampaignOptions, start_campaign
from landlord_test_target.faults.disk import SmallDisk, reason_without_disk, small_disk
from landlord_test_target.faults.fault import FaultTimes
from landlord_test_target.faults.freezes import Freezer
from landlord_test_target.faults.injector import Injector
from landlord_test_target.faults.judge import Judge
from landlord_test_target.faults.load import Load
from landlord_test_target.faults.report import report
from landlord_test_target.faults.versions import Versions
from landlord_test_target.harness import Harness, Target
from landlord_test_target.target import target_server

RANDOM_FAULTS = {"slow": 0.05, "fail": 0.03, "lose": 0.1}
"""The longest delay of a call to the target in seconds; the shares of calls that fail, and that get no answer."""


@attrs.frozen(kw_only=True)
class Size:
    """The size of a campaign; times are seconds.

    Attributes:
        freeze_duration: Duration of a worker's freeze; always longer than ``step_timeout``.
        skew: The largest difference between two clocks.
        late: The share of jobs that are delivered late.
        late_delay: The delay of a late job.
        disk: Mebibytes of the disk under restate-server.
        quiet_timeout: The limit for all jobs to end after the last fault.
    """

    is_long: bool
    kills: int
    freezes: int
    freeze_duration: tuple[float, float]
    step_timeout: float
    carry: float
    skew: float
    late: float
    late_delay: tuple[float, float]
    disk: int
    outage: float
    quiet_timeout: float

    @classmethod
    def from_options(cls, config: pytest.Config) -> "Size":
        kills, freezes = config.getoption("kills", 8), config.getoption("freezes", 2)
        if kills < LONG:
            return cls(
                is_long=False,
                kills=kills,
                freezes=freezes,
                freeze_duration=(6.0, 8.0),
                step_timeout=5.5,
                carry=1.0,
                skew=5.0,
                late=0.1,
                late_delay=(1.0, 5.0),
                disk=700,
                outage=0.0,
                quiet_timeout=120.0,
            )
        return cls(
            is_long=True,
            kills=kills,
            freezes=freezes,
            freeze_duration=(20.0, 90.0),
            step_timeout=10.0,
            carry=5.0,
            skew=30.0,
            late=0.05,
            late_delay=(2.0, 40.0),
            disk=3000,
            outage=40.0,
            quiet_timeout=300.0,
        )


LONG = 100
"""The number of kills from which freezes have their full length and two kills are long outages."""

NO_DISK = reason_without_disk()


@pytest.fixture
def target(tmp_path: Path, http: aiohttp.ClientSession) -> Iterator[Target]:
    """Run a separate target, because the campaign's faults would affect other tests."""
    with target_server(tmp_path) as url:
        yield Target(url=url, http=http)


@pytest.fixture
def size(pytestconfig: pytest.Config) -> Size:
    return Size.from_options(pytestconfig)


@pytest.fixture
def disk(size: Size, tmp_path: Path) -> Iterator[SmallDisk | None]:
    """Mount a small disk under restate-server, if that is possible."""
    with ExitStack() as stack:
        folder = tmp_path / "disk"
        yield None if NO_DISK else stack.enter_context(small_disk(folder, size.disk))


@pytest_asyncio.fixture(loop_scope="session")
async def dedicated_restate(tmp_path: Path, disk: SmallDisk | None) -> AsyncIterator[RestateServer]:
    folder = (disk.folder if disk else tmp_path) / "restate"
    server = RestateServer(binary=await server_binary(), folder=folder)
    await server.start()
    yield server
    await server.kill()


def build_injector(
    campaign: Campaign, size: Size, load: Load, disk: SmallDisk | None, seed: int
) -> Injector:
    fault_times = FaultTimes(target=campaign.harness.target, load=load)
    return Injector(
        campaign=campaign,
        fault_times=fault_times,
        load=load,
        seed=seed,
        kills=size.kills,
        calm_kills=size.kills // 5,
        outage=size.outage,
        versions=Versions(first=campaign.fleets[0], second=campaign.fleets[1]),
        disk=disk,
    )


@pytest.mark.long
async def test_no_tenant_is_lost_duplicated_or_stuck_whatever_is_killed(
    dedicated_harness: Harness, size: Size, disk: SmallDisk | None, pytestconfig: pytest.Config
) -> None:
    seed, operations = pytestconfig.getoption("seed", 1), pytestconfig.getoption("operations", 40)
    await dedicated_harness.target.set_random_faults(seed, **RANDOM_FAULTS)
    options = CampaignOptions(
        workers=2, second=True, skew=size.skew, seed=seed, step_timeout=size.step_timeout
    )
    async with start_campaign(dedicated_harness, options) as campaign:
        load = Load(landlord=campaign.landlord, seed=seed, users=8)
        injector = build_injector(campaign, size, load, disk, seed)
        freezer = Freezer(
            fleet=campaign.fleets[0],
            fault_times=injector.fault_times,
            seed=seed,
            count=size.freezes,
            duration=size.freeze_duration,
        )
        campaign.late_dispatcher.share, campaign.late_dispatcher.delay = size.late, size.late_delay
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await injector.run(operations, group.create_task(freezer.run()))
            load.enough.set()
        await dedicated_harness.target.set_random_faults(seed)
        await campaign.wait_no_open_job(within=size.quiet_timeout)
        judge = Judge(campaign=campaign, load=load, faults=injector.fault_times.faults)
        findings = await judge.findings()
        sys.stdout.write(f"\n{report(load, injector, judge, findings)}\n")
        if NO_DISK:
            sys.stdout.write(f"no full disk: {NO_DISK}\n")
        timelines = [await judge.timeline(finding) for finding in findings[:5]]

    slow = [finding for finding in findings if finding.oracle == "slow"]
    wrong = [finding for finding in findings if finding.oracle != "slow"]
    assert not wrong, "\n".join((f"seed {seed}", *timelines))
    assert campaign.worker.is_running
    hits = sum(fault.hit_call for fault in injector.fault_times.faults if fault.is_kill)
    # On a busy machine a call may be over before its kill comes (seen: 142 of 150, 4 of 5).
    assert hits >= 0.9 * injector.killed - 1
    if size.is_long:
        measured = {fault.kind for fault, _, seconds in judge.measure().after_one_kill() if seconds}
        # The kind of an outage names its seconds.
        assert any(kind.endswith(" s") for kind in measured), measured
        assert len(judge.given_up) <= 0.05 * len(load.tenants)
        # A busy machine makes a few operations late. A defect makes most of them late.
        assert len(slow) <= 0.05 * len(list(judge.measure().after_one_kill())), slow
