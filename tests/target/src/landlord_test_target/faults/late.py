"""Late jobs: Restate accepts a job, its answer is lost, and Landlord sends another job.

Landlord does not know the first job and cannot kill it. The job starts seconds later, when its tenant
may have been updated or deleted already, so its configuration is outdated.
"""

from random import Random
from time import time

import aiohttp
import attrs

from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution

__all__ = ["LateDispatcher", "LateJob"]

TIMEOUT = aiohttp.ClientTimeout(total=30)


@attrs.frozen(kw_only=True)
class LateJob:
    """A job that Restate starts although its answer was lost; times are seconds since the epoch."""

    id: str
    at: float
    due: float


@attrs.define(kw_only=True)
class LateDispatcher:
    """A dispatcher that delivers some jobs late and loses their answers.

    Attributes:
        dispatcher: The real dispatcher.
        url: The URL for late jobs.
        share: The share of late jobs; it may change at any time.
        delay: The delay of a late job in seconds, at least and at most.
        sent: The late jobs so far.
    """

    dispatcher: Dispatcher
    url: str
    seed: int
    share: float = 0.0
    delay: tuple[float, float] = (2.0, 40.0)
    sent: list[LateJob] = attrs.field(factory=list)
    _random: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(f"late-{self.seed}")

    async def dispatch(self, body: bytes) -> str:
        """Send a job, or deliver it late and report that it was not sent.

        Raises:
            EngineFailed: It was not sent, or the answer is lost.
        """
        if self._random.random() >= self.share:
            return await self.dispatcher.dispatch(body)
        await self.send_late(body, self._random.uniform(*self.delay))
        raise EngineFailed("the answer is lost")

    async def send_late(self, body: bytes, seconds: float) -> LateJob:
        """Send a job that Restate accepts now and starts later."""
        query = {"delay": f"{round(seconds * 1000)}ms"}
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session,
                session.post(self.url, params=query, data=body) as answer,
            ):
                answer.raise_for_status()
                job = (await answer.json())["invocationId"]
        except aiohttp.ClientError as error:
            raise EngineFailed(f"Restate does not take the job: {error}") from error
        late = LateJob(id=job, at=time(), due=time() + seconds)
        self.sent.append(late)
        return late

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Return the state of a job."""
        return await self.dispatcher.poll(execution_id)

    async def kill(self, execution_id: str) -> None:
        """Kill a job."""
        await self.dispatcher.kill(execution_id)
