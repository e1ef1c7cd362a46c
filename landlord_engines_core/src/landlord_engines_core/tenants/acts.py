"""Requests to targets that are under way.

A request that was sent cannot be taken back: if its step is cancelled it goes on, and would land
after whatever the next job does. So it is carried to its end here, and the tenant's next step in
this process waits for it.
"""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import attrs

__all__ = ["Acts"]

T = TypeVar("T")


@attrs.define(kw_only=True)
class Acts:
    """The requests under way, by tenant.

    Attributes:
        limit: Seconds after which a request is given up, so that none is waited for for ever.
    """

    limit: float
    _under_way: dict[str, set[asyncio.Task[object]]] = attrs.field(factory=dict, init=False)

    def __contains__(self, tenant: object) -> bool:
        return tenant in self._under_way

    async def do(self, tenant: str, request: Coroutine[object, object, T]) -> T:
        """Carry a request to its end even if the caller is cancelled meanwhile.

        Raises:
            TimeoutError: It took longer than the limit.
        """
        task = asyncio.ensure_future(asyncio.wait_for(request, self.limit))
        self._under_way.setdefault(tenant, set()).add(task)
        task.add_done_callback(lambda done: self._ended(tenant, done))
        return await asyncio.shield(task)

    async def settled(self, tenant: str) -> None:
        """Return when no request for this tenant is under way."""
        while tasks := self._under_way.get(tenant):
            await asyncio.wait(tasks)

    async def all_settled(self) -> None:
        """Return when no request is under way at all."""
        while tasks := set().union(*self._under_way.values()):
            await asyncio.wait(tasks)

    def _ended(self, tenant: str, task: asyncio.Task[T]) -> None:
        tasks = self._under_way[tenant]
        tasks.discard(task)
        if not tasks:
            del self._under_way[tenant]
        if not task.cancelled():
            # Read the error, so that one nobody waits for is not reported as never retrieved.
            task.exception()
