"""Putting the next container in the place of the former one, so that no kill leaves the tenant down.

Of the two only one can hold a port of the host, so that the former is stopped before the next one
starts. What is between is a switch: it names both by the ids that were seen before, creates nothing
and never starts over. Meanwhile another worker may act on the tenant, by names that have become its
own: by ids, each finds that the other's containers are gone or run, and looks again.
"""

from contextlib import suppress

import attrs
import backoff

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker.answers import Conflict, NotFound, StartFailed
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container
from landlord_engines_core.compute.docker.health import Health, health_of
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import observing, switch
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Replacement", "longest_carry"]


def longest_carry(settings: DockerSettings) -> float:
    """Seconds from a cancellation until what is under way has ended.

    That is the request on the wire, and of the way back a stop and a start.
    """
    return 3 * (settings.request_timeout + settings.stop_timeout)


@attrs.frozen(kw_only=True)
class Replacement:
    """Two containers of a tenant, of which the next is to take the place of the former.

    Attributes:
        former: The container that is in place, as it was seen before.
        next_id: The id of the one that is to take its place.
        returns: Whether the former serves again where the next one does not become healthy.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    former: Container
    next_id: str
    returns: bool
    reached: Failpoint

    async def run(self) -> ComputeRefused | StartFailed | None:
        """Let the next container serve; where it cannot, the former serves again.

        Returns:
            Why the next one does not serve.

        Raises:
            NotFound: One of them is not there any more.
            Conflict: Somebody else starts or stops them at this moment.
        """
        return await switch(self._forward, self._back, longest=self._longest)

    async def undo(self) -> None:
        """Let the former container serve again, in whose place the next one was put.

        Raises:
            NotFound: The former is not there any more.
        """
        await switch(self._back, self._back, longest=self._longest)

    async def health(self) -> Health:
        """Wait until the next container is healthy or has failed, for as long as it may take.

        Raises:
            Conflict: It was stopped from outside, which tells nothing of it.
        """

        async def look() -> Container:
            observing()
            return Container(await self.client.show(self.next_id))

        async def ask() -> Health:
            return await health_of((await look()).shown, self.settings)

        watched = backoff.on_predicate(
            backoff.expo,
            lambda health: health.state is ResourceState.STARTING,
            factor=0.05,
            max_value=1.0,
            max_time=self.settings.health_timeout,
            jitter=None,
            logger=None,
        )(ask)
        health: Health = await watched()
        if health.state is ResourceState.FAILED and (await look()).was_cut:
            raise Conflict(f"the next container was stopped by others: {health.detail}")
        return health

    @property
    def _longest(self) -> float:
        each = self.settings.request_timeout + self.settings.stop_timeout
        return 2 * each + self.settings.health_timeout + longest_carry(self.settings)

    async def _forward(self) -> ComputeRefused | StartFailed | None:
        await self.client.stop(self.former.id)
        self.reached("update:stopped")
        try:
            failure = await self._failure()
        except (NotFound, Conflict):
            await self._back()
            raise
        if failure is not None:
            await self._refuse_interference()
            await self._back()
        return failure

    async def _failure(self) -> ComputeRefused | StartFailed | None:
        try:
            await self.client.start(self.next_id)
        except (ComputeRefused, StartFailed) as error:
            return error
        self.reached("update:started")
        if not self.returns:
            # There is nothing to come back to: whether it becomes healthy is for others to see.
            return None
        health = await self.health()
        if health.state is not ResourceState.HEALTHY:
            return ComputeRefused(health.detail)
        self.reached("update:healthy")
        return None

    async def _refuse_interference(self) -> None:
        """A former that runs although it was stopped may be why the next one does not.

        A job on another worker that was killed in a switch has started it, for example.
        """
        if Container(await self.client.show(self.former.id)).runs:
            raise Conflict("the former container was started by others meanwhile")

    async def _back(self) -> None:
        if not (self.returns or self.former.runs):
            return
        with suppress(NotFound):
            await self.client.stop(self.next_id)
        self.reached("rollback:stopped")
        await self.client.start(self.former.id)
        self.reached("rollback:started")
