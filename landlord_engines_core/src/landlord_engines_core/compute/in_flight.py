"""What a cancellation waits for: a request that is on the wire, and a switch.

A request that was sent cannot be taken back. Were its step to end before it, it would land after
whatever the tenant's next job does. So a compute engine hands each request that changes its target
to `send`, and the few requests that put one resource in the place of another to `switch`. All else
an engine does stops at once when its step is cancelled: a pull, a wait, a look.

A process may stand still (SIGSTOP, a paused machine, a blocked loop) while its job is killed and
another worker goes on. `send` therefore asks the backend first where much time has passed since the
look at the target that the request is based on, or between two looks that follow each other. What stands still between that question and the
request itself is left to the resync of the tenant.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import attrs

from landlord_engines_core.errors import (
    ComputeUnavailable,
    ExecutionEnded,
    Transient,
    catch_exits,
)

__all__ = ["Act", "InFlightRequests", "observing", "send", "switch"]

T = TypeVar("T")

FRESH = 5.0
"""Seconds for which a look at the target, or an answer of the backend, may be acted on unasked; and
between two looks of one act."""


@attrs.frozen
class _Clocks:
    """Clocks of which one at least goes on while a process or its machine stands still."""

    boot: float
    wall: float

    @classmethod
    def now(cls) -> "_Clocks":
        boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(time.clock_gettime(boot), time.time())

    def elapsed(self) -> float:
        """Seconds since then, by the clock that went furthest."""
        now = self.now()
        return max(now.boot - self.boot, now.wall - self.wall)


@attrs.define(kw_only=True)
class InFlightRequests:
    """The requests and switches of a process, by tenant.

    Attributes:
        longest_carry: Seconds for which a cancellation waits for one, at most.
        given_up: How many were given up before their end.
    """

    longest_carry: float
    given_up: int = attrs.field(default=0, init=False)
    _tasks: dict[str, set[asyncio.Task[Any]]] = attrs.field(factory=dict, init=False)
    _drained: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _deadline: float | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return sum(len(tasks) for tasks in self._tasks.values())

    def __contains__(self, tenant: object) -> bool:
        return tenant in self._tasks

    @contextmanager
    def act(self, tenant: str, still_due: Callable[[], Awaitable[object]]) -> Iterator[None]:
        """Let what an engine does in this context count as the tenant's.

        Args:
            tenant: The tenant's key.
            still_due: Asks the backend whether the job still lives and has the tenant's lock;
                raises Superseded, ExecutionEnded among them, or Transient.
        """
        token = _current.set(Act(requests=self, tenant=tenant, still_due=still_due))
        try:
            yield
        finally:
            _current.reset(token)

    def drain(self, deadline: float) -> None:
        """Begin no switch that may outlast ``deadline``, and wait for nothing after it.

        Args:
            deadline: A time of the running loop.
        """
        self._deadline = deadline
        asyncio.get_running_loop().call_at(deadline, self._drained.set)

    def refuse_beyond_drain(self, seconds: float) -> None:
        """Refuse to begin what may take this long, where the drain is over before that.

        Raises:
            ComputeUnavailable: The drain's deadline comes first.
        """
        if self._deadline is None:
            return
        if asyncio.get_running_loop().time() + seconds > self._deadline:
            raise ComputeUnavailable(
                "the worker is draining and begins no update that may outlast the drain",
                hint="another worker, or this one after its restart, goes on with the job",
            )

    async def ended(self, tenant: str) -> None:
        """Return when nothing of this tenant is under way."""
        while tasks := self._tasks.get(tenant):
            await asyncio.wait(tasks)

    async def all_ended(self) -> None:
        """Return when nothing is under way at all."""
        while tasks := set().union(*self._tasks.values()):
            await asyncio.wait(tasks)

    async def carry(self, act: "Act", request: Coroutine[Any, Any, T]) -> T:
        """Carry a request to its end, and let a cancellation out only after that."""
        task = self._begun(act, request)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._until_ended(act, task)
            raise

    async def finish(self, act: "Act", work: Coroutine[Any, Any, object]) -> None:
        """Carry what a cancelled act still has to do; its failure is the next attempt's matter."""
        await self._until_ended(act, self._begun(act, work))

    async def _until_ended(self, act: "Act", task: asyncio.Task[Any]) -> None:
        """Wait for a request, however often the wait is cancelled, and give it up in the end."""
        over = asyncio.create_task(self._drained.wait())
        late = asyncio.get_running_loop().call_at(act.carried_until(), over.cancel)
        while not task.done() and not over.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
        late.cancel()
        over.cancel()
        if task.cancel():
            self.given_up += 1

    def _begun(self, act: "Act", request: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # A task of its own: SystemExit would leave the event loop from here.
        task = asyncio.create_task(_kept_alive(request))
        self._tasks.setdefault(act.tenant, set()).add(task)
        task.add_done_callback(lambda done: self._remove(act.tenant, done))
        return task

    def _remove(self, tenant: str, task: asyncio.Task[Any]) -> None:
        tasks = self._tasks[tenant]
        tasks.discard(task)
        if not tasks:
            del self._tasks[tenant]
        if not task.cancelled():
            # Read the error, so that one nobody waits for is not reported as never retrieved.
            task.exception()


async def _kept_alive(request: Coroutine[Any, Any, T]) -> T:
    with catch_exits():
        return await request


@attrs.define(kw_only=True)
class Act:
    """What one step does on one tenant.

    Attributes:
        requests: Where its requests are carried.
        tenant: The tenant's key.
        still_due: Asks the backend whether the job may go on.
        in_switch: Whether a resource is out of service just now.
    """

    requests: InFlightRequests
    tenant: str
    still_due: Callable[[], Awaitable[object]]
    in_switch: bool = attrs.field(default=False, init=False)
    _observed: _Clocks = attrs.field(factory=_Clocks.now, init=False)
    _carried_until: float | None = attrs.field(default=None, init=False)

    def observing(self) -> None:
        """Count from now on how old the look at the target is, unless it is too old already.

        A process that stood still before it looks would see what others left, and take it for new.
        """
        if self._observed.elapsed() <= FRESH:
            self._observed = _Clocks.now()

    def carried_until(self) -> float:
        """The loop's time up to which it is carried; the first call is that of its cancellation."""
        if self._carried_until is None:
            now = asyncio.get_running_loop().time()
            self._carried_until = now + self.requests.longest_carry
        return self._carried_until

    async def ask_if_stale(self) -> None:
        """Ask the backend where the look that the next request is based on is old.

        Raises:
            Superseded: A younger job has the tenant's lock; or, outside of a switch, this one ended.
            Transient: The backend does not answer, outside of a switch.
        """
        if self._observed.elapsed() <= FRESH:
            return
        asked = _Clocks.now()
        try:
            await self.still_due()
        except (ExecutionEnded, Transient):
            # In a switch nobody else puts the tenant back into service.
            if not self.in_switch:
                raise
        self._observed = asked

    @contextmanager
    def switching(self) -> Iterator[None]:
        """Note that a resource is out of service meanwhile."""
        self.in_switch = True
        try:
            yield
        finally:
            self.in_switch = False


_current: ContextVar[Act | None] = ContextVar("act", default=None)


def observing() -> None:
    """Say that the target is looked at now, and that what follows is based on that look.

    Called right before the look. An engine that looks again in the midst of its work calls it then.
    """
    if (act := _current.get()) is not None:
        act.observing()


async def send(request: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Send one request that changes the target.

    A cancellation lets the request end first. It is sent in any case, or not at all: where the
    process stood still since its last look at the target, the backend is asked before.

    Args:
        request: Makes the request; it has a deadline of its own.

    Raises:
        Superseded: The job is not to go on.
        Transient: The process stood still, and the backend does not say whether the job may go on.
    """
    act = _current.get()
    if act is None:
        return await request()
    await act.ask_if_stale()
    return await act.requests.carry(act, request())


async def switch(
    forward: Callable[[], Awaitable[T]],
    back: Callable[[], Coroutine[Any, Any, object]],
    *,
    longest: float,
) -> T:
    """Put one resource in the place of another, so that no cancellation leaves the tenant down.

    Both name what they touch by the target's ids, create nothing and never start over. A
    cancellation stops ``forward`` at its next wait, lets ``back`` put the former resource into
    service, and goes on. A younger job that has the tenant's lock by now ends the switch as it is.

    Args:
        forward: From taking the former resource out of service until the next one is healthy, or
            the former one serves again.
        back: Has the former resource serve again; it does not wait for health.
        longest: Seconds that ``forward`` may take.

    Raises:
        ComputeUnavailable: The worker is draining, and the drain may be over before the switch.
        Superseded: A younger job has the tenant's lock.
    """
    act = _current.get()
    if act is None:
        return await forward()
    act.requests.refuse_beyond_drain(longest)
    await act.ask_if_stale()
    with act.switching():
        try:
            return await forward()
        except asyncio.CancelledError:
            await act.requests.finish(act, back())
            raise
