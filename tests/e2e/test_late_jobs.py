"""Jobs that arrive late, or that a node with a skewed clock accepted, leave Landlord's desired state."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Harness, Worker, wait_for
from landlord_test_target.skewed_admin import SkewedAdmin, run_skewed_admin
from landlord_test_target.tenant_api import Landlord

AHEAD, BEHIND = 60.0, -60.0
"""The error in seconds of the clock of the node that accepted a job."""

LATE = -16 * 60.0
"""The shift of a late job's time of dispatch in seconds, so that no test has to wait for it."""

WARNING = "without Landlord's API the time of dispatch decides about a delete"


@attrs.frozen
class Job:
    """A job of a case; the jobs arrive in this order.

    Attributes:
        shift: The seconds by which its time of dispatch is shifted.
        killed: Whether the job is killed while its request to the target is in flight.
        is_superseded: Whether the next job arrives while this one's request to the target is in flight.
    """

    operation: str
    version: int = 1
    shift: float = 0.0
    engine: str = "target"
    killed: bool = False
    is_superseded: bool = False

    @property
    def has_delayed_request(self) -> bool:
        return self.killed or self.is_superseded


@attrs.frozen
class LandlordAnswer:
    """Landlord's answer about a tenant."""

    status: str = "ready"
    version: int = 1
    engine: str = "target"


@attrs.frozen
class Case:
    """Jobs of one tenant, and the expected result.

    Attributes:
        answer_during: Landlord's answer while the jobs run; None is a 404.
        answer_after: Landlord's answer after the end of the last job.
        remaining: The final version and its engine; None if no resource is left.
        is_api_down: Whether Landlord's API fails until it was asked about the last job.
    """

    jobs: tuple[Job, ...]
    answer_during: LandlordAnswer | None = None
    answer_after: LandlordAnswer | None = None
    remaining: tuple[str, int] | None = None
    is_api_down: bool = False


def provision(
    version: int = 1, shift: float = 0.0, *, killed: bool = False, is_superseded: bool = False
) -> Job:
    return Job("provision", version, shift, killed=killed, is_superseded=is_superseded)


def update(
    version: int,
    shift: float = 0.0,
    engine: str = "target",
    *,
    killed: bool = False,
    is_superseded: bool = False,
) -> Job:
    return Job("update", version, shift, engine, killed, is_superseded)


def delete(shift: float = 0.0) -> Job:
    return Job("delete", shift=shift)


def expect_removed(
    *jobs: Job, answer_during: LandlordAnswer | None = None, is_api_down: bool = False
) -> Case:
    """Build a case of a tenant that Landlord does not know at the end."""
    return Case(jobs, answer_during=answer_during, is_api_down=is_api_down)


def expect_version(version: int, *jobs: Job, is_api_down: bool = False) -> Case:
    """Build a case of a tenant for which Landlord always desires this version."""
    answer = LandlordAnswer(version=version)
    return Case(
        jobs,
        answer_during=answer,
        answer_after=answer,
        remaining=("target", version),
        is_api_down=is_api_down,
    )


CASES: Mapping[str, Case] = {
    "a delete from a clock behind": expect_removed(provision(), delete(BEHIND)),
    "a delete after a job from a clock ahead": expect_removed(provision(shift=AHEAD), delete()),
    "a delete while Landlord archives": expect_removed(
        provision(shift=AHEAD), delete(BEHIND), answer_during=LandlordAnswer("archiving")
    ),
    "a delete while Landlord updates": expect_removed(
        provision(shift=AHEAD), delete(BEHIND), answer_during=LandlordAnswer("updating")
    ),
    "a superseded delete, then archived": Case(
        (provision(shift=AHEAD), delete(BEHIND)),
        answer_during=LandlordAnswer(),
        answer_after=LandlordAnswer("archived"),
    ),
    "a delete of nothing, then a late provision": expect_removed(
        delete(AHEAD), provision(shift=LATE)
    ),
    "a late provision from a clock ahead": expect_removed(delete(BEHIND), provision(shift=AHEAD)),
    "a late update after a delete": expect_removed(
        provision(), update(2), delete(), update(3, LATE), update(4, AHEAD)
    ),
    "a delete after a killed job from a clock ahead": expect_removed(
        provision(shift=AHEAD, killed=True), delete(BEHIND)
    ),
    "a delete during a job from a clock ahead": expect_removed(
        provision(shift=AHEAD, is_superseded=True), delete(BEHIND)
    ),
    "a delete while Landlord is silent": expect_removed(
        provision(shift=AHEAD), delete(BEHIND), is_api_down=True
    ),
    "a late provision while Landlord is silent": expect_removed(
        delete(AHEAD), provision(shift=LATE), is_api_down=True
    ),
    "a late delete": expect_version(1, provision(), delete(LATE)),
    "a late delete from a clock ahead": expect_version(1, provision(), delete(AHEAD)),
    "a provision after a delete, from a clock behind": expect_version(
        2, delete(), provision(2, BEHIND)
    ),
    "a provision after a delete, ahead of it": expect_version(
        2, provision(), delete(BEHIND), provision(2)
    ),
    "a late update": expect_version(3, provision(), update(3), update(2, LATE)),
    "a late update from a clock ahead": expect_version(3, provision(), update(3), update(2, AHEAD)),
    "an update from a clock behind": expect_version(3, provision(), update(2), update(3, BEHIND)),
    "an update behind one that runs": expect_version(
        3, provision(), update(2, AHEAD, is_superseded=True), update(3, BEHIND)
    ),
    "an update after a killed one from a clock ahead": expect_version(
        3, provision(), update(2, AHEAD, killed=True), update(3, BEHIND)
    ),
    "a late update elsewhere": expect_version(
        3, provision(), update(3), update(2, LATE, "target2")
    ),
    "an update elsewhere from a clock ahead": expect_version(
        3, provision(), update(3), update(2, AHEAD, "target2")
    ),
    "an update from a clock behind to another engine": Case(
        (provision(), update(2, AHEAD, "target2"), update(3, BEHIND)),
        answer_during=LandlordAnswer(version=3),
        answer_after=LandlordAnswer(version=3),
        remaining=("target", 3),
    ),
}

CASES_WITHOUT_API: Mapping[str, Case] = {
    "a delete": expect_removed(provision(), delete(1.0)),
    "a delete from a clock behind": expect_removed(provision(shift=AHEAD), delete(BEHIND)),
    "a delete after a killed job": expect_removed(
        provision(shift=AHEAD, killed=True), delete(BEHIND)
    ),
    "a late provision": expect_removed(provision(), delete(1.0), provision(2, LATE)),
    "a late provision of nothing": expect_removed(delete(1.0), provision(2, LATE)),
    "a provision": expect_version(2, delete(BEHIND), provision(2)),
    "a late update": expect_version(3, provision(), update(3), update(2, LATE)),
    "an update after a killed one": expect_version(
        3, provision(), update(2, AHEAD, killed=True), update(3, BEHIND)
    ),
}
"""Cases without Landlord's API, where the job that was dispatched last wins. A delete always deletes."""


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


@pytest_asyncio.fixture(loop_scope="session")
async def admin(harness: Harness) -> AsyncIterator[SkewedAdmin]:
    async with run_skewed_admin(harness.restate.admin_endpoint) as proxy:
        yield proxy


@pytest.mark.long
async def test_late_and_skewed_jobs_leave_what_landlord_wants(
    harness: Harness, landlord: Landlord, admin: SkewedAdmin
) -> None:
    await _start_worker(harness, admin, api=landlord.url)

    assert await _run_cases(CaseRunner(harness, admin, landlord), CASES) == _expected(CASES)


async def test_without_an_api_the_time_of_dispatch_decides_and_the_log_says_so(
    harness: Harness, landlord: Landlord, admin: SkewedAdmin
) -> None:
    worker = await _start_worker(harness, admin)

    assert await _run_cases(CaseRunner(harness, admin, landlord), CASES_WITHOUT_API) == _expected(
        CASES_WITHOUT_API
    )

    assert await worker.wait_logged(WARNING)


Remaining = tuple[tuple[str, int] | None, list[str]]
"""The tenant's resource, and the engines that its record names."""


@attrs.frozen
class CaseRunner:
    """Sends the jobs of a case with shifted times of dispatch."""

    harness: Harness
    admin: SkewedAdmin
    landlord: Landlord

    async def run(self, name: str, tenant: str, case: Case) -> None:
        """Send the jobs, and return once the last one has ended."""
        try:
            await self._run(tenant, case)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error

    async def _run(self, tenant: str, case: Case) -> None:
        self._set_answer(tenant, case.answer_during)
        sent: list[str] = []
        for number, job in enumerate(case.jobs, 1):
            is_last = number == len(case.jobs)
            if is_last and case.is_api_down:
                self.landlord.failing_tenants.add(tenant)
            sent.append(await self._send(tenant, job))
            if is_last and case.is_api_down:
                await self._wait_asked(tenant)
                self._set_answer(tenant, case.answer_after)
                self.landlord.failing_tenants.discard(tenant)
            if job.has_delayed_request:
                await self._interrupt(tenant, job, sent[-1])
            else:
                await self._wait_completed(tenant, sent)
        self._set_answer(tenant, case.answer_after)

    async def _send(self, tenant: str, job: Job) -> str:
        if job.has_delayed_request:
            await self.harness.target.set_fault(tenant, _call(job), hold=1)
        sending = self.harness.send(tenant, job.operation, job.engine, version=job.version)
        return await self.admin.dispatch_shifted(sending, job.shift)

    async def _interrupt(self, tenant: str, job: Job, sent: str) -> None:
        await self.harness.target.wait_called(tenant, _call(job))
        if job.killed:
            await self.harness.dispatcher.kill(sent)
            await self.harness.target.set_fault(tenant, _call(job))

    async def _wait_completed(self, tenant: str, sent: list[str]) -> None:
        for call in ("create", "update"):
            await self.harness.target.set_fault(tenant, call)
        for job in sent:
            await self.harness.wait_status(job, "completed")

    async def _wait_asked(self, tenant: str) -> None:
        before = len(self.landlord.requested_paths)

        async def check() -> bool:
            return any(path.endswith(tenant) for path in self.landlord.requested_paths[before:])

        await wait_for(check)

    def _set_answer(self, tenant: str, answer: LandlordAnswer | None) -> None:
        if answer is None:
            self.landlord.remove_tenant(tenant)
        else:
            self.landlord.set_tenant(tenant, answer.status, answer.engine, version=answer.version)


def _call(job: Job) -> str:
    return "create" if job.operation == "provision" else "update"


async def _start_worker(harness: Harness, admin: SkewedAdmin, api: str | None = None) -> Worker:
    config = harness.config(api=api, resync_after="2s", step_timeout="3s")
    config["workflow"]["restate"]["admin_endpoint"] = admin.url
    return await (await harness.launch(config)).wait_registered()


async def _run_cases(runner: CaseRunner, cases: Mapping[str, Case]) -> Mapping[str, Remaining]:
    """Run the cases, wait for each tenant's last resync, and return what is left."""
    tenants = {name: runner.harness.tenant() for name in cases}
    await asyncio.gather(*(runner.run(name, tenants[name], case) for name, case in cases.items()))
    await _wait_resyncs(runner.harness)
    assert runner.admin.shifted, "no job was seen with another time than Restate's"
    return {name: await _read_remaining(runner.harness, tenant) for name, tenant in tenants.items()}


def _expected(cases: Mapping[str, Case]) -> Mapping[str, Remaining]:
    return {
        name: (case.remaining, [case.remaining[0]] if case.remaining else [])
        for name, case in cases.items()
    }


async def _wait_resyncs(harness: Harness) -> None:
    """Wait until no resync is open or scheduled."""
    where = f"target_service_name IN ('{harness.service}', '{harness.service}Resync')"
    sql = f"SELECT id FROM sys_invocation WHERE {where} AND status <> 'completed'"

    async def check() -> bool:
        return not await harness.admin.query(sql)

    await wait_for(check, within=60)


async def _read_remaining(harness: Harness, tenant: str) -> Remaining:
    status = await harness.status(tenant)
    recorded = [location["engine"] for location in status["placements"]]
    if not (resources := await harness.target.resources(tenant)):
        return None, recorded
    engine = ", ".join(resource["engine"] for resource in resources)
    document = await harness.target.document(tenant) if len(resources) == 1 else {"version": 0}
    return (engine, document["version"]), recorded
