"""Lifecycle of one worker engine: serve, register, watch, drain, stop."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from time import monotonic
from typing import Any, TypeVar

import attrs

from landlord_engines_core.engine import (
    Capability,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import (
    EngineFailed,
    EngineRefused,
    RegistrationError,
    RegistrationFailed,
    RegistrationRefused,
)
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.retries import jittered_pauses, retry

__all__ = ["EngineLifecycle", "EngineState", "LifecycleOptions", "refuse_unable", "within_limit"]

T = TypeVar("T")

LONGEST_PAUSE = 30.0
"""Longest pause in seconds between two attempts to register."""

LONGEST_RETRY = 300.0
"""Longest pause in seconds while another version of the worker answers the backend."""

MARGIN = 2.0
"""Seconds after the drain for which the host still waits for the engine's shutdown."""


class EngineState(StrEnum):
    """State of an engine. It only moves forward."""

    NEW = "new"
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


_ORDER = list(EngineState)

_REGISTERS_AGAIN = (RegistrationState.UNREGISTERED, RegistrationState.OUTDATED)
"""States in which the engine registers again."""


@attrs.frozen(kw_only=True)
class LifecycleOptions:
    """The settings of a lifecycle; times are seconds."""

    drain_timeout: float
    register_timeout: float
    registration_check_interval: float
    fail_fast: bool


@attrs.define
class _RetrySchedule:
    """Growing, jittered pauses between attempts to register again."""

    _pauses: Iterator[float] = attrs.field(
        factory=lambda: jittered_pauses(LONGEST_RETRY), init=False
    )
    _due: float = attrs.field(default=math.inf, init=False)

    def remaining(self) -> float:
        """Return the seconds until the next attempt; the first call after `clear` sets its time."""
        if math.isinf(self._due):
            self._due = monotonic() + next(self._pauses)
        return max(0.0, self._due - monotonic())

    def take_if_due(self) -> bool:
        """Use up the next attempt if its time has come, and return whether it has."""
        if due := self.remaining() == 0:
            self._due = math.inf
        return due

    def clear(self) -> float:
        """Start over with a short pause; returns infinity, as no attempt has a time."""
        self._pauses, self._due = jittered_pauses(LONGEST_RETRY), math.inf
        return self._due


@attrs.define(kw_only=True)
class EngineLifecycle:
    """Runs one engine once.

    Attributes:
        info: The engine's name and capabilities.
        engine: The engine; its methods raise core's errors and no other.
        options: The settings.
        logger: Receives changes of the registration, and failures.
        registered: Set once the backend sends jobs to this worker.
        on_drain: Called before the engine shuts down, with the drain's deadline in the loop's time.
        state: The state of the engine.
        registration: The registration, as the backend last answered.
        deadline: The loop's time at which the drain is over; ``None`` before the drain.
    """

    info: EngineInfo
    engine: WorkerEngine
    options: LifecycleOptions
    logger: Logger
    registered: asyncio.Event = attrs.field(factory=asyncio.Event)
    on_drain: Callable[[float], None] = attrs.field(default=lambda deadline: None)  # noqa: ARG005  # a signature
    state: EngineState = attrs.field(default=EngineState.NEW, init=False)
    registration: Registration = attrs.field(init=False)
    deadline: float | None = attrs.field(default=None, init=False)
    _drain_deadline: float = attrs.field(default=0.0, init=False)
    _started: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    @registration.default
    def _unknown_registration(self) -> Registration:
        return Registration(state=RegistrationState.UNKNOWN, detail="not registered yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and stay registered until ``stop``, then drain.

        It returns once everything has ended, within the drain timeout and a small margin.

        Raises:
            EngineRefused: The engine declines to serve, or cannot give tenants their lock.
            EngineFailed: The engine stopped unexpectedly, or did not end in time.
            RegistrationError: The engine could not register, and ``fail_fast`` is set.
        """
        _refuse_without_lock(self.info, Support.UNSUPPORTED)
        self._enter(EngineState.STARTING)
        serving = asyncio.create_task(self._serve())
        registering = asyncio.create_task(self._stay_registered())
        stopping = asyncio.create_task(stop.wait())
        tasks = (serving, registering, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # No registration during the drain: the backend would send jobs to a worker that takes none.
            await _cancel(registering)
            await self._drain(serving)
        finally:
            await _cancel(*tasks)
            self._enter(EngineState.STOPPED)
        # The failure to serve first: a failed registration may be its consequence.
        for task in (serving, registering):
            _raise_failure(task)
        if not stop.is_set():
            raise EngineFailed(
                f"worker engine {self.info.name} stopped unexpectedly",
                hint="see its log lines, or report it to the engine's authors",
            )

    def seconds_left(self) -> float:
        """Return the seconds until the drain is over; 0 without a drain. Any thread may call."""
        if self.state is not EngineState.DRAINING:
            return 0.0
        return max(0.0, self._drain_deadline - monotonic())

    def _enter(self, state: EngineState) -> None:
        if _ORDER.index(state) <= _ORDER.index(self.state):
            raise EngineFailed(f"the engine cannot change from state {self.state} to {state}")
        self.logger.debug("engine state", before=self.state, now=state)
        self.state = state

    async def _serve(self) -> None:
        await self.engine.serve(self._on_started)

    def _on_started(self) -> None:
        if self.state is EngineState.STARTING:
            self._enter(EngineState.SERVING)
            self._started.set()

    async def _stay_registered(self) -> None:
        await self._started.wait()
        # Only now: an engine that plans the lock may refuse with its own message when it serves.
        _refuse_without_lock(self.info, Support.PLANNED)
        await self._register(at_start=True)
        if self.info.supports(Capability.WATCH):
            await self._watch()
        # Without a watch this task still has to last until it is cancelled.
        await asyncio.Event().wait()

    async def _watch(self) -> None:
        """Check the registration at each interval, and register again if it is lost or outdated."""
        retries, checked = _RetrySchedule(), self.registration
        while True:
            is_refused = self.registration.state is RegistrationState.REFUSED
            state = checked.state if is_refused else self.registration.state
            outdated = state is RegistrationState.OUTDATED
            # An outdated registration is tried again sooner than at the next check.
            pause = retries.remaining() if outdated else retries.clear()
            await asyncio.sleep(min(self.options.registration_check_interval, pause))
            checked = await self._check_registration()
            # After a refusal the check shows the state that led to it. Noting that state would log
            # it, and the next refusal, again at each check.
            if not (is_refused and checked.state in _REGISTERS_AGAIN):
                self._note(checked)
            match checked.state:
                case RegistrationState.UNREGISTERED:
                    await self._register()
                case RegistrationState.OUTDATED if retries.take_if_due():
                    await self._register()

    async def _register(self, *, at_start: bool = False) -> None:
        """Register, with retries for as long as the options allow."""
        limit = self.options.register_timeout if self.options.fail_fast else None
        try:
            async with asyncio.timeout(limit):
                registration = await retry(
                    self._register_once,
                    RegistrationFailed,
                    first=0.5,
                    longest=LONGEST_PAUSE,
                    report=self._log_retry,
                )
                self._note(registration)
        except TimeoutError as error:
            raise RegistrationFailed(
                f"the worker was not registered within {limit} s: {self.registration.detail}",
                hint="check the backend, or raise worker.register_timeout",
            ) from error
        except RegistrationRefused as error:
            if self.options.fail_fast and at_start:
                raise
            # The worker continues with its jobs, since the backend pins them to it.
            refused = Registration(state=RegistrationState.REFUSED, detail=error.message)
            if refused != self.registration:
                self.logger.error("registration refused", **error_fields(error))  # noqa: TRY400  # expected
            self.registration = refused

    async def _register_once(self) -> Registration:
        """Register once, within a time limit."""
        return await self._call_within_limit(self.engine.register(), "register")

    async def _check_registration(self) -> Registration:
        """Ask the backend for the registration; a backend without an answer must not end the worker."""
        try:
            return await self._call_within_limit(
                self.engine.watch_registration(), "watch_registration"
            )
        except RegistrationError as error:
            return Registration(state=RegistrationState.UNKNOWN, detail=error.message)

    async def _call_within_limit(
        self, call: Coroutine[object, object, Registration], name: str
    ) -> Registration:
        description = f"{name} of worker engine {self.info.name}"
        return await within_limit(call, self.options.register_timeout, description)

    def _log_retry(self, error: RegistrationFailed, attempt: int, pause: float) -> None:
        self.registration = Registration(state=RegistrationState.UNKNOWN, detail=error.message)
        self.logger.warning(
            "not registered yet",
            **error_fields(error),
            attempt=attempt,
            next_attempt_in=round(pause, 3),
        )

    def _note(self, registration: Registration) -> None:
        """Store the registration, and log a change."""
        if registration != self.registration:
            good = registration.state is RegistrationState.REGISTERED
            log = self.logger.info if good else self.logger.warning
            log("registration changed", state=registration.state.value, detail=registration.detail)
        self.registration = registration
        if registration.state is RegistrationState.REGISTERED:
            self.registered.set()

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Shut the engine down within the drain timeout."""
        if serving.done():
            return
        grace = self.options.drain_timeout
        # The monotonic clock and not the loop's: the probes' thread reads it.
        self._drain_deadline = monotonic() + grace
        self._enter(EngineState.DRAINING)
        self.deadline = asyncio.get_running_loop().time() + grace
        self.on_drain(self.deadline)
        self.logger.info("draining", grace=grace)
        try:
            async with asyncio.timeout(grace + MARGIN):
                await self.engine.shutdown(grace)
                await asyncio.wait((serving,))
        except TimeoutError as error:
            raise EngineFailed(
                f"worker engine {self.info.name} did not end within {grace:g} s",
                hint="report it to the engine's authors: shutdown has to return, and then serve",
            ) from error


def refuse_unable(info: EngineInfo, engine: WorkerEngine) -> None:
    """Refuse an engine that would not serve.

    Raises:
        EngineRefused: The engine declines, or cannot give tenants their lock.
    """
    engine.check()
    _refuse_without_lock(info, Support.UNSUPPORTED, Support.PLANNED)


def _refuse_without_lock(info: EngineInfo, *too_little: Support) -> None:
    if info.capabilities.get(Capability.TENANT_LOCK, Support.UNSUPPORTED) in too_little:
        raise EngineRefused(
            f"worker engine {info.name} has no tenant lock, so that two jobs of a tenant could overlap",
            hint="use another engine",
        )


async def within_limit(call: Coroutine[object, object, T], limit: float, description: str) -> T:
    """Await a call of an engine for a limited time.

    Args:
        call: The call, which registers or reads the registration.
        limit: The time limit in seconds.
        description: The call's name in the error.

    Raises:
        RegistrationFailed: The call did not return in time.
    """
    try:
        async with asyncio.timeout(limit):
            return await call
    except TimeoutError as error:
        raise RegistrationFailed(
            f"{description} did not return within {limit:g} s",
            hint="check the backend, or raise worker.register_timeout",
        ) from error


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _raise_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
