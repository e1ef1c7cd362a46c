"""Requests in flight: a cancellation waits for a request on the wire, and for a switch.

A request that was sent cannot be taken back. If its step ended first, the request would reach the
target after the requests of the tenant's next job. A compute engine therefore passes each request
that changes its target to `send`, and the requests that replace one resource by another to `switch`.
Everything else stops immediately when its step is cancelled: a pull, a wait, an observation.

A process may be suspended (SIGSTOP, a paused machine, a blocked loop) while its job is killed and
another worker continues. `send` therefore asks the backend whether the job may continue, if the last
observation is stale. The tenant's resync repairs what a suspension between question and request causes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import attrs

from landlord_engines_core.errors import (
    ComputeDefect,
    ComputeUnavailable,
    ExecutionEnded,
    Transient,
)
from landlord_engines_core.plugin_calls import ErrorBoundary

__all__ = [
    "Failpoint",
    "InFlightRequests",
    "StepContext",
    "begin_observation",
    "pass_by",
    "send",
    "switch",
]

T = TypeVar("T")

Failpoint = Callable[[str], None]
"""Function that an engine calls at named points of its acts, for example at ``create:spawned``.

A crash at any such point must leave a state from which the next attempt converges. Tests pass a
function that kills the process there.
"""

_BOUNDARY = ErrorBoundary(engine="a compute engine", failure=ComputeDefect)
"""The error boundary of requests. It catches exits only, because an engine handles its other errors."""

FRESH = 5.0
"""Seconds for which an observation, or an answer of the backend, counts as fresh."""


def pass_by(failpoint: str) -> None:
    """Ignore a failpoint: the default outside of tests."""


@attrs.frozen
class _Clocks:
    """Two clocks, at least one of which advances while a process or its machine is suspended."""

    boot: float
    wall: float

    @classmethod
    def now(cls) -> "_Clocks":
        boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(time.clock_gettime(boot), time.time())

    def elapsed(self) -> float:
        """Return the seconds since then, by the clock that advanced most."""
        now = self.now()
        return max(now.boot - self.boot, now.wall - self.wall)


@attrs.define(kw_only=True)
class InFlightRequests:
    """The requests and switches of a process, by tenant.

    Attributes:
        longest_carry: Seconds for which a cancellation waits for a request, at most.
        given_up: The number of requests that were cancelled before their end.
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
    def attribute_to(
        self, tenant: str, confirm_job: Callable[[], Awaitable[object]]
    ) -> Iterator[None]:
        """Attribute the requests in this context to a tenant.

        Args:
            tenant: The tenant's key.
            confirm_job: Asks the backend whether the job still runs and has the tenant's lock.
                Raises Superseded, its subclass ExecutionEnded, or Transient.
        """
        token = _current.set(StepContext(requests=self, tenant=tenant, confirm_job=confirm_job))
        try:
            yield
        finally:
            _current.reset(token)

    def drain(self, deadline: float) -> None:
        """Start no switch that may outlast ``deadline``, and wait for nothing after it.

        Args:
            deadline: A time of the running loop.
        """
        self._deadline = deadline
        asyncio.get_running_loop().call_at(deadline, self._drained.set)

    def refuse_beyond_drain(self, seconds: float) -> None:
        """Refuse to start a switch of this length if the drain ends before it.

        Raises:
            ComputeUnavailable: The drain's deadline comes first.
        """
        if self._deadline is None:
            return
        if asyncio.get_running_loop().time() + seconds > self._deadline:
            raise ComputeUnavailable(
                "the worker is draining and starts no update that may outlast the drain",
                hint="another worker, or this one after its restart, continues the job",
            )

    async def wait_ended(self, tenant: str) -> None:
        """Wait until no request of this tenant is in flight."""
        while tasks := self._tasks.get(tenant):
            await asyncio.wait(tasks)

    async def wait_all_ended(self) -> None:
        """Wait until no request is in flight."""
        while tasks := set().union(*self._tasks.values()):
            await asyncio.wait(tasks)

    async def carry(self, step: "StepContext", request: Coroutine[Any, Any, T]) -> T:
        """Run a request to its end, and raise a cancellation only after that."""
        task = self._start(step, request)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._wait_or_cancel(step, task)
            raise

    async def finish(self, step: "StepContext", work: Coroutine[Any, Any, object]) -> None:
        """Run the last work of a cancelled step; the next attempt deals with its failure."""
        await self._wait_or_cancel(step, self._start(step, work))

    async def _wait_or_cancel(self, step: "StepContext", task: asyncio.Task[Any]) -> None:
        """Wait for a request to its deadline or the drain's, then cancel it."""
        drained = asyncio.create_task(self._drained.wait())
        timer = asyncio.get_running_loop().call_at(step.carry_deadline(), drained.cancel)
        while not task.done() and not drained.done():
            # The caller may be cancelled again, for example by a second deadline.
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task, drained), return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        drained.cancel()
        if task.cancel():
            self.given_up += 1

    def _start(self, step: "StepContext", request: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # A SystemExit that a task raises would end the event loop.
        task = asyncio.create_task(_run_without_exit(request))
        self._tasks.setdefault(step.tenant, set()).add(task)
        task.add_done_callback(lambda done: self._remove(step.tenant, done))
        return task

    def _remove(self, tenant: str, task: asyncio.Task[Any]) -> None:
        tasks = self._tasks[tenant]
        tasks.discard(task)
        if not tasks:
            del self._tasks[tenant]
        if not task.cancelled():
            # asyncio logs an error that nobody has read.
            task.exception()


async def _run_without_exit(request: Coroutine[Any, Any, T]) -> T:
    with _BOUNDARY.catch_exits("a request"):
        return await request


@attrs.define(kw_only=True)
class StepContext:
    """The context of one step, which works on one tenant.

    Attributes:
        requests: The requests in flight of this process.
        tenant: The tenant's key.
        confirm_job: Asks the backend whether the job may continue.
        in_switch: Whether the tenant is out of service at the moment.
    """

    requests: InFlightRequests
    tenant: str
    confirm_job: Callable[[], Awaitable[object]]
    in_switch: bool = attrs.field(default=False, init=False)
    _observed: _Clocks = attrs.field(factory=_Clocks.now, init=False)
    _carry_deadline: float | None = attrs.field(default=None, init=False)

    def begin_observation(self) -> None:
        """Set the time of the last observation to now, unless that observation is stale."""
        # A process that was suspended before this observation may see what another worker left. It
        # has to ask the backend, however fresh the observation is.
        if self._observed.elapsed() <= FRESH:
            self._observed = _Clocks.now()

    def carry_deadline(self) -> float:
        """Return the loop's time at which a request is cancelled; the first call fixes it."""
        if self._carry_deadline is None:
            now = asyncio.get_running_loop().time()
            self._carry_deadline = now + self.requests.longest_carry
        return self._carry_deadline

    async def ask_if_stale(self) -> None:
        """Ask the backend whether the job may continue, if the last observation is stale.

        Raises:
            Superseded: A younger job has the tenant's lock; or this one ended outside of a switch.
            Transient: The backend does not answer, outside of a switch.
        """
        if self._observed.elapsed() <= FRESH:
            return
        asked = _Clocks.now()
        try:
            await self.confirm_job()
        except (ExecutionEnded, Transient):
            # In a switch the tenant is down, and no other job brings it back into service.
            if not self.in_switch:
                raise
        self._observed = asked

    @contextmanager
    def switching(self) -> Iterator[None]:
        """Mark the tenant as out of service until the context ends."""
        self.in_switch = True
        try:
            yield
        finally:
            self.in_switch = False


_current: ContextVar[StepContext | None] = ContextVar("step", default=None)


def begin_observation() -> None:
    """Note the time at which an observation of the target begins.

    A compute engine calls this right before each observation on which its next requests are based.
    `send` asks the backend before a request whose observation is stale.
    """
    if (step := _current.get()) is not None:
        step.begin_observation()


async def send(request: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Send one request that changes the target.

    A cancellation waits for the end of the request. If the last observation is stale, `send` first
    asks the backend whether the job may continue.

    Args:
        request: Creates the request, which has a deadline of its own.

    Raises:
        Superseded: The job must not continue.
        Transient: The observation is stale, and the backend does not answer.
    """
    step = _current.get()
    if step is None:
        return await request()
    await step.ask_if_stale()
    return await step.requests.carry(step, request())


async def switch(
    forward: Callable[[], Awaitable[T]],
    back: Callable[[], Coroutine[Any, Any, object]],
    *,
    longest: float,
) -> T:
    """Replace one resource by another, so that no cancellation leaves the tenant down.

    Both functions name resources by the target's ids, create nothing and never start over. A
    cancellation stops ``forward`` at its next wait, runs ``back``, and is raised after that. If a
    younger job already has the tenant's lock, the switch stops where it is.

    Args:
        forward: Takes the previous resource out of service and returns once the next one is healthy,
            or the previous one serves again.
        back: Brings the previous resource back into service, without waiting for its health.
        longest: Seconds that ``forward`` may take.

    Raises:
        ComputeUnavailable: The worker is draining, and the drain may end before the switch.
        Superseded: A younger job has the tenant's lock.
    """
    step = _current.get()
    if step is None:
        return await forward()
    step.requests.refuse_beyond_drain(longest)
    await step.ask_if_stale()
    with step.switching():
        try:
            return await forward()
        except asyncio.CancelledError:
            await step.requests.finish(step, back())
            raise
