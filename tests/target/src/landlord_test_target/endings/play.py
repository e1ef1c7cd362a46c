"""Plays cases: a job, its kill, the next job, and a look once no request can be alive any more."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import time

import attrs

from landlord_test_target.endings import judge
from landlord_test_target.endings.plan import Case, Freeze, Then, Work
from landlord_test_target.endings.stage import Stage
from landlord_test_target.endings.story import Story
from landlord_test_target.waiting import wait_for

__all__ = ["Player"]


@attrs.define(kw_only=True)
class Player:
    """Plays the cases of one stage.

    Attributes:
        at_once: How many tenants are under way.
    """

    stage: Stage
    at_once: int

    async def run(self, cases: Sequence[Case], freezes: Sequence[Freeze] = ()) -> list[Story]:
        """Play cases, a number of tenants at a time, and judge them.

        Args:
            cases: The cases to play.
            freezes: One freeze for each group of tenants; empty if no worker is to be frozen.
        """
        stories: list[Story] = []
        for number, first in enumerate(range(0, len(cases), self.at_once)):
            freeze = freezes[number] if freezes else None
            stories += await self._together(cases[first : first + self.at_once], freeze)
        with suppress(AssertionError):
            await self.stage.backend.quiet(self.stage.longest)
        for story in stories:
            await self._judge(story)
        return stories

    async def _together(self, cases: Sequence[Case], freeze: Freeze | None) -> list[Story]:
        await asyncio.gather(*map(self._prepare, cases))
        if freeze is None:
            return await asyncio.gather(*map(self._play, cases))
        cases = [attrs.evolve(case, worker=freeze.worker) for case in cases]
        stories, _ = await asyncio.gather(
            asyncio.gather(*map(self._play, cases)), self._stand_still(freeze)
        )
        for story in stories:
            story.freeze = attrs.asdict(freeze)
        return stories

    async def _stand_still(self, freeze: Freeze) -> None:
        await asyncio.sleep(freeze.after)
        self.stage.freeze(freeze.worker)
        try:
            await asyncio.sleep(freeze.seconds)
        finally:
            self.stage.thaw(freeze.worker)

    async def _prepare(self, case: Case) -> None:
        if case.work is Work.PROVISION:
            return
        config = self.stage.ground.config(case, case.former)
        job = await self._send(case, "provision", config, case.worker)
        assert await self._over(job), f"case {case.number} cannot begin"
        self.stage.word.wants(case.tenant, "ready", config)

    async def _play(self, case: Case) -> Story:
        story = Story(case=case, api=bool(self.stage.word.url))
        ground, dispatcher = self.stage.ground, self.stage.backend.dispatcher
        await ground.delay(case)
        operation = "provision" if case.work is Work.PROVISION else "update"
        config = ground.job_config(case)
        self.stage.word.wants(case.tenant, "updating", config)
        story.sent = time()
        story.job = await self._send(case, operation, config, case.worker)
        await self._until_killed(story)
        story.landed = not await self._has_ended(story.job)
        await dispatcher.kill(story.job)
        story.killed = time()
        story.took = await self.stage.backend.took(case.tenant, story.job)
        # Landlord takes every end for a success.
        self.stage.word.wants(case.tenant, "ready", config)
        if case.then is not Then.NOTHING:
            await asyncio.sleep(case.pause)
            await self._follow(story)
        return story

    async def _until_killed(self, story: Story) -> None:
        case, ground = story.case, self.stage.ground

        async def look() -> bool:
            calls = [
                request.call for request in await ground.asked(case) if request.at >= story.sent
            ]
            is_there = calls.count(case.killed_on) >= case.delays[0].nth
            # There may never be a second one.
            return is_there or await self._has_ended(story.job)

        if case.killed_on:
            with suppress(AssertionError):
                await wait_for(look, self.stage.times.step_timeout)
        # The kill is timed by the clock, so that it may hit any state.
        await asyncio.sleep(case.killed_after)

    async def _follow(self, story: Story) -> None:
        case, word = story.case, self.stage.word
        other = 1 - case.worker
        if case.then is Then.DELETE:
            config = self.stage.ground.job_config(case)
            word.wants(case.tenant, "deleting", config)
            story.follower = await self._send(case, "delete", config, other)
        else:
            config = self.stage.ground.config(case, case.younger)
            word.wants(case.tenant, "updating", config)
            story.follower = await self._send(case, "update", config, other)
        if await self._over(story.follower):
            story.ended = time()
        story.at_end = await self.stage.ground.holds(case)
        if case.then is Then.DELETE:
            word.forgets(case.tenant)
        else:
            word.wants(case.tenant, "ready", config)

    async def _judge(self, story: Story) -> None:
        case, ground = story.case, self.stage.ground
        story.look(await ground.holds(case))
        story.asked = await ground.asked(case)
        story.history = await self.stage.backend.history(case.tenant)
        story.findings = judge.findings(story)

    async def _over(self, job: str) -> bool:
        try:
            return await wait_for(lambda: self._has_ended(job), self.stage.longest)
        except AssertionError:
            return False

    async def _has_ended(self, job: str) -> bool:
        polled = await self.stage.backend.dispatcher.poll(job)
        return polled is None or polled.state.has_ended

    async def _send(
        self, case: Case, operation: str, config: Mapping[str, object], worker: int
    ) -> str:
        named = {"tenant_id": f"name-{case.tenant}", "tenant_uuid": case.tenant}
        document = {**named, "operation": operation, "route": str(worker)}
        body = json.dumps({**document, "desired_config": config}).encode()
        return await self.stage.backend.dispatcher.dispatch(body)
