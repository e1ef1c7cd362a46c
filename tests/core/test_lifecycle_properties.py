import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from landlord_engines_core.engine import (
    Capability,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.engine.guarded import GuardedEngine, build_boundary
from landlord_engines_core.errors import EngineFailed, LandlordEnginesError, RegistrationRefused
from landlord_engines_core.lifecycle import EngineLifecycle, EngineState, LifecycleOptions
from landlord_test_target.in_memory import RecordingLogger

ORDER = list(EngineState)
INFO = EngineInfo(
    name="made-up",
    contract=1,
    capabilities=dict.fromkeys((Capability.TENANT_LOCK, Capability.WATCH), Support.FULL),
)


@attrs.define(eq=False)
class GeneratedEngine(WorkerEngine):
    """An engine whose behaviour at each call comes from hypothesis.

    Attributes:
        listens: Whether it says that it listens.
        lasts: Iterations of the event loop after which it ends by itself; ``None`` for never.
        registrations: The results of each check of the registration, in order; an error is raised.
        ends: Whether a shutdown ends it.
    """

    listens: bool
    lasts: int | None
    registrations: list[Registration | Exception]
    ends: bool
    down: asyncio.Event = attrs.field(factory=asyncio.Event)
    shutdowns: int = 0

    async def serve(self, started: Callable[[], None]) -> None:
        if self.listens:
            started()
        if self.lasts is None:
            await self.down.wait()
        else:
            await locks(self.lasts)

    async def register(self) -> Registration:
        return self._next()

    async def watch_registration(self) -> Registration:
        return self._next()

    async def shutdown(self, grace: float) -> None:
        self.shutdowns += 1
        if self.ends:
            self.down.set()

    def _next(self) -> Registration:
        registrations = (
            self.registrations.pop(0)
            if self.registrations
            else Registration(state=RegistrationState.REGISTERED)
        )
        if isinstance(registrations, Exception):
            raise registrations
        return registrations


async def locks(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


engines = st.builds(
    GeneratedEngine,
    listens=st.booleans(),
    lasts=st.none() | st.integers(0, 30),
    registrations=st.lists(
        st.builds(Registration, state=st.sampled_from(RegistrationState), detail=st.text())
        | st.builds(RegistrationRefused, st.text())
        | st.builds(ZeroDivisionError, st.text()),
        max_size=6,
    ),
    ends=st.booleans(),
)


def lifecycle(
    engine: WorkerEngine, logger: RecordingLogger, *, fail_fast: bool = False
) -> EngineLifecycle:
    # With this margin the host gives up an engine that does not end almost at once.
    options = LifecycleOptions(
        drain_timeout=-1.99,
        register_timeout=5.0,
        registration_check_interval=0.0,
        fail_fast=fail_fast,
    )
    return EngineLifecycle(
        info=INFO,
        engine=GuardedEngine(engine, build_boundary(INFO)),
        options=options,
        logger=logger,
    )


@settings(max_examples=50)
@given(engine=engines, stop_after=st.integers(0, 40), fail_fast=st.booleans())
async def test_an_engine_is_shut_down_once_and_its_states_only_advance(
    engine: GeneratedEngine, stop_after: int, *, fail_fast: bool
) -> None:
    logger, stop = RecordingLogger(), asyncio.Event()
    running = lifecycle(engine, logger, fail_fast=fail_fast)
    task = asyncio.create_task(running.run(stop))

    await locks(stop_after)
    stop.set()
    with suppress(LandlordEnginesError):
        await task

    changes = [values for _, event, values in logger.lines if event == "engine state"]
    states = [EngineState(str(change["now"])) for change in changes]
    assert states[-1] == running.state == EngineState.STOPPED
    assert all(ORDER.index(now) < ORDER.index(then) for now, then in pairwise(states))
    assert engine.shutdowns <= 1
    assert running.seconds_left() == 0.0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(st.lists(st.sampled_from(EngineState), min_size=1, max_size=8))
def test_states_never_go_backwards(states: list[EngineState]) -> None:
    engine = GeneratedEngine(listens=True, lasts=None, registrations=[], ends=True)
    running = lifecycle(engine, RecordingLogger())

    for state in states:
        if ORDER.index(state) > ORDER.index(running.state):
            running._enter(state)
            assert running.state is state
        else:
            with pytest.raises(EngineFailed, match="cannot change from state"):
                running._enter(state)
