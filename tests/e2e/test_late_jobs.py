"""Jobs that arrive late, or that a node with a skewed clock accepted, leave Landlord's desired state."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Worker, World, wait_for
from landlord_test_target.skewed_admin import SkewedAdmin, run_skewed_admin
from landlord_test_target.tenant_api import Landlord

AHEAD, BEHIND = 60.0, -60.0
"""The error in seconds of the clock of the node that accepted a job."""

LATE = -16 * 60.0
"""The shift of a late job in seconds, which replaces a real wait."""

DECIDED_WITHOUT = "without Landlord's API the time of dispatch decides about a delete"


@attrs.frozen
class Job:
    """A job of a case; the jobs arrive in this order.

    Attributes:
        shift: The seconds by which its time of dispatch is shifted.
        killed: Whether the job is killed while its request to the target is in flight.
        overtaken: Whether the next job arrives while this one's request to the target is in flight.
    """

    operation: str
    version: int = 1
    shift: float = 0.0
    engine: str = "target"
    killed: bool = False
    overtaken: bool = False

    @property
    def stays_in_hand(self) -> bool:
        return self.killed or self.overtaken


@attrs.frozen
class Word:
    """Landlord's answer about a tenant."""

    status: str = "ready"
    version: int = 1
    engine: str = "target"


@attrs.frozen
class Case:
    """Jobs of one tenant, and the expected result.

    Attributes:
        says: Landlord's answer while the jobs run; None is a 404.
        then: Landlord's answer after the end of the last job.
        left: The final version and its engine; None if no resource is left.
        silent: Whether Landlord's API fails until it was asked about the last job.
    """

    jobs: tuple[Job, ...]
    says: Word | None = None
    then: Word | None = None
    left: tuple[str, int] | None = None
    silent: bool = False


def provision(
    version: int = 1, shift: float = 0.0, *, killed: bool = False, overtaken: bool = False
) -> Job:
    return Job("provision", version, shift, killed=killed, overtaken=overtaken)


def update(
    version: int,
    shift: float = 0.0,
    engine: str = "target",
    *,
    killed: bool = False,
    overtaken: bool = False,
) -> Job:
    return Job("update", version, shift, engine, killed, overtaken)


def delete(shift: float = 0.0) -> Job:
    return Job("delete", shift=shift)


def gone(*jobs: Job, says: Word | None = None, silent: bool = False) -> Case:
    """Build a case of a tenant that Landlord does not know at the end."""
    return Case(jobs, says=says, silent=silent)


def stays(version: int, *jobs: Job, silent: bool = False) -> Case:
    """Build a case of a tenant for which Landlord always wants this version."""
    word = Word(version=version)
    return Case(jobs, says=word, then=word, left=("target", version), silent=silent)


CASES: Mapping[str, Case] = {
    "a delete from a clock behind": gone(provision(), delete(BEHIND)),
    "a delete after a job from a clock ahead": gone(provision(shift=AHEAD), delete()),
    "a delete while Landlord archives": gone(
        provision(shift=AHEAD), delete(BEHIND), says=Word("archiving")
    ),
    "a delete that Landlord did not mean yet": gone(
        provision(shift=AHEAD), delete(BEHIND), says=Word("updating")
    ),
    "a delete that gave way, then archived": Case(
        (provision(shift=AHEAD), delete(BEHIND)), says=Word(), then=Word("archived")
    ),
    "a delete of nothing, then a late provision": gone(delete(AHEAD), provision(shift=LATE)),
    "a late provision from a clock ahead": gone(delete(BEHIND), provision(shift=AHEAD)),
    "a late update after a delete": gone(
        provision(), update(2), delete(), update(3, LATE), update(4, AHEAD)
    ),
    "a delete after a killed job from a clock ahead": gone(
        provision(shift=AHEAD, killed=True), delete(BEHIND)
    ),
    "a delete during a job from a clock ahead": gone(
        provision(shift=AHEAD, overtaken=True), delete(BEHIND)
    ),
    "a delete while Landlord is silent": gone(provision(shift=AHEAD), delete(BEHIND), silent=True),
    "a late provision while Landlord is silent": gone(
        delete(AHEAD), provision(shift=LATE), silent=True
    ),
    "a late delete": stays(1, provision(), delete(LATE)),
    "a late delete from a clock ahead": stays(1, provision(), delete(AHEAD)),
    "a provision after a delete, from a clock behind": stays(2, delete(), provision(2, BEHIND)),
    "a provision after a delete, ahead of it": stays(2, provision(), delete(BEHIND), provision(2)),
    "a late update": stays(3, provision(), update(3), update(2, LATE)),
    "a late update from a clock ahead": stays(3, provision(), update(3), update(2, AHEAD)),
    "an update from a clock behind": stays(3, provision(), update(2), update(3, BEHIND)),
    "an update behind one that runs": stays(
        3, provision(), update(2, AHEAD, overtaken=True), update(3, BEHIND)
    ),
    "an update after a killed one from a clock ahead": stays(
        3, provision(), update(2, AHEAD, killed=True), update(3, BEHIND)
    ),
    "a late update elsewhere": stays(3, provision(), update(3), update(2, LATE, "target2")),
    "an update elsewhere from a clock ahead": stays(
        3, provision(), update(3), update(2, AHEAD, "target2")
    ),
    "an update from a clock behind to another engine": Case(
        (provision(), update(2, AHEAD, "target2"), update(3, BEHIND)),
        says=Word(version=3),
        then=Word(version=3),
        left=("target", 3),
    ),
}

WITHOUT: Mapping[str, Case] = {
    "a delete": gone(provision(), delete(1.0)),
    "a delete from a clock behind": gone(provision(shift=AHEAD), delete(BEHIND)),
    "a delete after a killed job": gone(provision(shift=AHEAD, killed=True), delete(BEHIND)),
    "a late provision": gone(provision(), delete(1.0), provision(2, LATE)),
    "a late provision of nothing": gone(delete(1.0), provision(2, LATE)),
    "a provision": stays(2, delete(BEHIND), provision(2)),
    "a late update": stays(3, provision(), update(3), update(2, LATE)),
    "an update after a killed one": stays(
        3, provision(), update(2, AHEAD, killed=True), update(3, BEHIND)
    ),
}
"""Cases without Landlord's API. The time of dispatch decides; a delete does not depend on it."""


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


@pytest_asyncio.fixture(loop_scope="session")
async def admin(world: World) -> AsyncIterator[SkewedAdmin]:
    async with run_skewed_admin(world.restate.admin_endpoint) as front:
        yield front


@pytest.mark.long
async def test_late_and_skewed_jobs_leave_what_landlord_wants(
    world: World, landlord: Landlord, admin: SkewedAdmin
) -> None:
    await _worker(world, admin, api=landlord.url)

    assert await _play(Play(world, admin, landlord), CASES) == _wanted(CASES)


async def test_without_an_api_the_time_of_dispatch_decides_and_the_log_says_so(
    world: World, landlord: Landlord, admin: SkewedAdmin
) -> None:
    worker = await _worker(world, admin)

    assert await _play(Play(world, admin, landlord), WITHOUT) == _wanted(WITHOUT)

    assert await worker.wait_logged(DECIDED_WITHOUT)


Left = tuple[tuple[str, int] | None, list[str]]
"""The tenant's resource, and the engines that its record names."""


@attrs.frozen
class Play:
    """A player that sends the jobs of a case with shifted times of dispatch."""

    world: World
    admin: SkewedAdmin
    landlord: Landlord

    async def run(self, name: str, tenant: str, case: Case) -> None:
        """Send the jobs, and return once the last one has ended."""
        try:
            await self._run(tenant, case)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error

    async def _run(self, tenant: str, case: Case) -> None:
        self._says(tenant, case.says)
        sent: list[str] = []
        for number, job in enumerate(case.jobs, 1):
            is_last = number == len(case.jobs)
            if is_last and case.silent:
                self.landlord.failing_tenants.add(tenant)
            sent.append(await self._send(tenant, job))
            if is_last and case.silent:
                await self._asked(tenant)
                self._says(tenant, case.then)
                self.landlord.failing_tenants.discard(tenant)
            if job.stays_in_hand:
                await self._in_hand(tenant, job, sent[-1])
            else:
                await self._over(tenant, sent)
        self._says(tenant, case.then)

    async def _send(self, tenant: str, job: Job) -> str:
        if job.stays_in_hand:
            await self.world.target.set_fault(tenant, _call(job), hold=1)
        sending = self.world.send(tenant, job.operation, job.engine, version=job.version)
        return await self.admin.dispatch_shifted(sending, job.shift)

    async def _in_hand(self, tenant: str, job: Job, sent: str) -> None:
        await self.world.target.wait_called(tenant, _call(job))
        if job.killed:
            await self.world.dispatcher.kill(sent)
            await self.world.target.set_fault(tenant, _call(job))

    async def _over(self, tenant: str, sent: list[str]) -> None:
        for call in ("create", "update"):
            await self.world.target.set_fault(tenant, call)
        for job in sent:
            await self.world.wait_status(job, "completed")

    async def _asked(self, tenant: str) -> None:
        before = len(self.landlord.requested_paths)

        async def look() -> bool:
            return any(path.endswith(tenant) for path in self.landlord.requested_paths[before:])

        await wait_for(look)

    def _says(self, tenant: str, word: Word | None) -> None:
        if word is None:
            self.landlord.remove_tenant(tenant)
        else:
            self.landlord.set_tenant(tenant, word.status, word.engine, version=word.version)


def _call(job: Job) -> str:
    return "create" if job.operation == "provision" else "update"


async def _worker(world: World, admin: SkewedAdmin, api: str | None = None) -> Worker:
    config = world.config(api=api, resync_after="2s", step_timeout="3s")
    config["workflow"]["restate"]["admin_endpoint"] = admin.url
    return await (await world.launch(config)).wait_registered()


async def _play(play: Play, cases: Mapping[str, Case]) -> Mapping[str, Left]:
    """Play the cases, wait for each tenant's last resync, and return what is left."""
    tenants = {name: play.world.tenant() for name in cases}
    await asyncio.gather(*(play.run(name, tenants[name], case) for name, case in cases.items()))
    await _wait_resyncs(play.world)
    assert play.admin.shifted, "no job was seen with another time than Restate's"
    return {name: await _left(play.world, tenant) for name, tenant in tenants.items()}


def _wanted(cases: Mapping[str, Case]) -> Mapping[str, Left]:
    return {name: (case.left, [case.left[0]] if case.left else []) for name, case in cases.items()}


async def _wait_resyncs(world: World) -> None:
    """Wait until no resync is open or scheduled."""
    where = f"target_service_name IN ('{world.service}', '{world.service}Resync')"
    sql = f"SELECT id FROM sys_invocation WHERE {where} AND status <> 'completed'"

    async def look() -> bool:
        return not await world.admin.query(sql)

    await wait_for(look, within=60)


async def _left(world: World, tenant: str) -> Left:
    status = await world.status(tenant)
    recorded = [location["engine"] for location in status["placements"]]
    if not (resources := await world.target.resources(tenant)):
        return None, recorded
    engine = ", ".join(resource["engine"] for resource in resources)
    document = await world.target.document(tenant) if len(resources) == 1 else {"version": 0}
    return (engine, document["version"]), recorded
