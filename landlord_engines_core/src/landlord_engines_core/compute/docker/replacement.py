"""Replacement of the previous container by the next one, also if the worker is killed halfway.

Only one of them can bind a host port, so the previous one is stopped before the next one starts. The
time in between is a switch, which knows both containers by id and creates none. A killed switch is
not repeated: the next attempt observes the tenant and decides anew.

Another worker may act on the tenant meanwhile, and use the same names for other containers. With ids,
each worker finds the other's containers gone or running, and observes the tenant again.
"""

from contextlib import suppress

import attrs

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import Conflict, NotFound, StartFailed
from landlord_engines_core.compute.docker.health import Health, check_health
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import Failpoint, begin_observation, switch
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.retries import poll

__all__ = ["Replacement", "longest_carry"]


def longest_carry(settings: DockerSettings) -> float:
    """Return the seconds from a cancellation until all requests have ended, at most."""
    # The request in flight, and a stop and a start to switch back.
    return 3 * (settings.request_timeout + settings.stop_timeout)


@attrs.frozen(kw_only=True)
class Replacement:
    """A switch between two containers of a tenant.

    Attributes:
        previous: The container to replace, as it was last observed.
        next_id: The id of the container that replaces it.
        can_go_back: Whether the previous one serves again if the next one does not become healthy.
        reached: Called with the name of each failpoint.
    """

    client: DockerClient
    settings: DockerSettings
    previous: Container
    next_id: str
    can_go_back: bool
    reached: Failpoint

    async def run(self) -> ComputeRefused | StartFailed | None:
        """Stop the previous container and start the next one; go back if that does not serve.

        Returns:
            Why the next one does not serve, or ``None`` if it does.

        Raises:
            NotFound: One of the containers is gone.
            Conflict: Another worker starts or stops one of them.
        """
        return await switch(self._go_forward, self._go_back, longest=self._longest_switch)

    async def undo(self) -> None:
        """Stop the next container and start the previous one again.

        Raises:
            NotFound: The previous container is gone.
        """
        # A cancellation repeats the same function, which is what a cancelled `undo` still has to do.
        await switch(self._go_back, self._go_back, longest=self._longest_switch)

    async def wait_decided(self) -> Health:
        """Wait until the next container is healthy or has failed, within the health timeout.

        Raises:
            Conflict: It was stopped from outside, which says nothing about its health.
        """

        async def observe() -> Container:
            begin_observation()
            return Container(await self.client.inspect(self.next_id))

        async def check() -> Health:
            return await check_health((await observe()).raw, self.settings)

        health = await poll(
            check,
            lambda health: health.state is ResourceState.STARTING,
            first=0.05,
            longest=1.0,
            within=self.settings.health_timeout,
        )
        if health.state is ResourceState.FAILED and (await observe()).was_interrupted:
            raise Conflict(f"the next container was stopped from outside: {health.detail}")
        return health

    @property
    def _longest_switch(self) -> float:
        # A stop, a start and the wait for health, and after a cancellation the switch back.
        request = self.settings.request_timeout + self.settings.stop_timeout
        return 2 * request + self.settings.health_timeout + longest_carry(self.settings)

    async def _go_forward(self) -> ComputeRefused | StartFailed | None:
        await self.client.stop(self.previous.id)
        self.reached("update:stopped")
        try:
            failure = await self._start_next()
        except (NotFound, Conflict):
            await self._go_back()
            raise
        if failure is not None:
            await self._raise_if_previous_restarted()
            await self._go_back()
        return failure

    async def _start_next(self) -> ComputeRefused | StartFailed | None:
        """Start the next container and return why it does not serve, if so."""
        try:
            await self.client.start(self.next_id)
        except (ComputeRefused, StartFailed) as error:
            return error
        self.reached("update:started")
        if not self.can_go_back:
            # Without a previous container to go back to, a wait decides nothing here. The job waits
            # for health when it confirms its work.
            return None
        health = await self.wait_decided()
        if health.state is not ResourceState.HEALTHY:
            return ComputeRefused(health.detail)
        self.reached("update:healthy")
        return None

    async def _raise_if_previous_restarted(self) -> None:
        # The previous container may have taken the port that the next one needs. For example, another
        # worker's job was killed, and goes back in a switch of its own.
        if Container(await self.client.inspect(self.previous.id)).is_running:
            raise Conflict("the previous container was started from outside meanwhile")

    async def _go_back(self) -> None:
        # A container that ran but was not healthy is started again too: it may still serve something.
        was_running = self.previous.is_running
        if not (self.can_go_back or was_running):
            return
        with suppress(NotFound):
            await self.client.stop(self.next_id)
        self.reached("rollback:stopped")
        await self.client.start(self.previous.id)
        self.reached("rollback:started")
