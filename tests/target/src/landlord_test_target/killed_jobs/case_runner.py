"""Runs cases: a job, its kill, the next job, and a check once no request can be in flight."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import time

import attrs

from landlord_test_target.killed_jobs import judge
from landlord_test_target.killed_jobs.case_record import CaseRecord
from landlord_test_target.killed_jobs.cases import Case, Freeze, KilledJob, NextJob
from landlord_test_target.killed_jobs.environment import CaseEnvironment
from landlord_test_target.waiting import wait_for

__all__ = ["CaseRunner"]


@attrs.define(kw_only=True)
class CaseRunner:
    """Runs cases in one environment.

    Attributes:
        at_once: The number of cases that run at the same time.
    """

    environment: CaseEnvironment
    at_once: int

    async def run(self, cases: Sequence[Case], freezes: Sequence[Freeze] = ()) -> list[CaseRecord]:
        """Run cases in groups, and judge them.

        Args:
            cases: The cases to run.
            freezes: One freeze for each group of tenants; empty if no worker is to be frozen.
        """
        case_records: list[CaseRecord] = []
        for number, first in enumerate(range(0, len(cases), self.at_once)):
            freeze = freezes[number] if freezes else None
            case_records += await self._run_group(cases[first : first + self.at_once], freeze)
        with suppress(AssertionError):
            await self.environment.backend.wait_no_open_job(self.environment.longest)
        for case_record in case_records:
            await self._judge(case_record)
        return case_records

    async def _run_group(self, cases: Sequence[Case], freeze: Freeze | None) -> list[CaseRecord]:
        await asyncio.gather(*map(self._prepare, cases))
        if freeze is None:
            return await asyncio.gather(*map(self._run_case, cases))
        cases = [attrs.evolve(case, worker=freeze.worker) for case in cases]
        case_records, _ = await asyncio.gather(
            asyncio.gather(*map(self._run_case, cases)), self._freeze_worker(freeze)
        )
        for case_record in case_records:
            case_record.freeze = attrs.asdict(freeze)
        return case_records

    async def _freeze_worker(self, freeze: Freeze) -> None:
        await asyncio.sleep(freeze.after)
        self.environment.freeze(freeze.worker)
        try:
            await asyncio.sleep(freeze.seconds)
        finally:
            self.environment.thaw(freeze.worker)

    async def _prepare(self, case: Case) -> None:
        if case.killed_job is KilledJob.PROVISION:
            return
        config = self.environment.target.config(case, case.previous_version)
        job = await self._send(case, "provision", config, case.worker)
        assert await self._wait_job_ended(job), (
            f"the first version of case {case.number} was not created"
        )
        self.environment.landlord.set_tenant(case.tenant, "ready", config)

    async def _run_case(self, case: Case) -> CaseRecord:
        case_record = CaseRecord(case=case, api=bool(self.environment.landlord.url))
        case_target, dispatcher = self.environment.target, self.environment.backend.dispatcher
        await case_target.delay(case)
        operation = "provision" if case.killed_job is KilledJob.PROVISION else "update"
        config = case_target.job_config(case)
        self.environment.landlord.set_tenant(case.tenant, "updating", config)
        case_record.sent = time()
        case_record.job = await self._send(case, operation, config, case.worker)
        await self._wait_for_kill_time(case_record)
        case_record.was_running = not await self._has_ended(case_record.job)
        await dispatcher.kill(case_record.job)
        case_record.killed = time()
        case_record.had_lock = await self.environment.backend.had_lock(case.tenant, case_record.job)
        # Landlord takes every end for a success.
        self.environment.landlord.set_tenant(case.tenant, "ready", config)
        if case.next_job is not NextJob.NOTHING:
            await asyncio.sleep(case.pause)
            await self._run_next_job(case_record)
        return case_record

    async def _wait_for_kill_time(self, case_record: CaseRecord) -> None:
        case, case_target = case_record.case, self.environment.target

        async def check() -> bool:
            calls = [
                request.call
                for request in await case_target.requests(case)
                if request.at >= case_record.sent
            ]
            was_sent = calls.count(case.killed_on) >= case.delays[0].nth
            # A second call of this kind may never come.
            return was_sent or await self._has_ended(case_record.job)

        if case.killed_on:
            with suppress(AssertionError):
                await wait_for(check, self.environment.times.step_timeout)
        # The kill is timed by the clock, so that it may hit any state.
        await asyncio.sleep(case.killed_after)

    async def _run_next_job(self, case_record: CaseRecord) -> None:
        case, landlord = case_record.case, self.environment.landlord
        other = 1 - case.worker
        if case.next_job is NextJob.DELETE:
            config = self.environment.target.job_config(case)
            landlord.set_tenant(case.tenant, "deleting", config)
            case_record.next_job = await self._send(case, "delete", config, other)
        else:
            config = self.environment.target.config(case, case.next_version)
            landlord.set_tenant(case.tenant, "updating", config)
            case_record.next_job = await self._send(case, "update", config, other)
        if await self._wait_job_ended(case_record.next_job):
            case_record.next_job_ended = time()
        case_record.resources_at_end = await self.environment.target.resources(case)
        if case.next_job is NextJob.DELETE:
            landlord.remove_tenant(case.tenant)
        else:
            landlord.set_tenant(case.tenant, "ready", config)

    async def _judge(self, case_record: CaseRecord) -> None:
        case, case_target = case_record.case, self.environment.target
        case_record.store_resources(await case_target.resources(case))
        case_record.requests = await case_target.requests(case)
        case_record.history = await self.environment.backend.history(case.tenant)
        case_record.findings = judge.find_faults(case_record)

    async def _wait_job_ended(self, job: str) -> bool:
        try:
            return await wait_for(lambda: self._has_ended(job), self.environment.longest)
        except AssertionError:
            return False

    async def _has_ended(self, job: str) -> bool:
        polled = await self.environment.backend.dispatcher.poll(job)
        return polled is None or polled.state.has_ended

    async def _send(
        self, case: Case, operation: str, config: Mapping[str, object], worker: int
    ) -> str:
        named = {"tenant_id": f"name-{case.tenant}", "tenant_uuid": case.tenant}
        document = {**named, "operation": operation, "route": str(worker)}
        body = json.dumps({**document, "desired_config": config}).encode()
        return await self.environment.backend.dispatcher.dispatch(body)
