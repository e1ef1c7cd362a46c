import asyncio
from collections.abc import Awaitable, Callable

import attrs
import backoff
import pytest

from landlord_engines_core.engine import (
    Capability,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.engine.guarded import GuardedEngine, build_boundary
from landlord_engines_core.errors import (
    EngineFailed,
    EngineRefused,
    LandlordEnginesError,
    RegistrationFailed,
    RegistrationRefused,
)
from landlord_engines_core.lifecycle import (
    LONGEST_RETRY,
    EngineLifecycle,
    EngineState,
    LifecycleOptions,
    _RetrySchedule,
    refuse_unable,
)
from landlord_engines_core.retries import jittered_pauses
from landlord_test_target.in_memory import RecordingLogger

REGISTERED = Registration(state=RegistrationState.REGISTERED, detail="here")
UNREGISTERED = Registration(state=RegistrationState.UNREGISTERED, detail="nowhere")
OUTDATED = Registration(state=RegistrationState.OUTDATED, detail="another answered")


FULL = EngineInfo(
    name="test",
    contract=1,
    capabilities=dict.fromkeys((Capability.TENANT_LOCK, Capability.WATCH), Support.FULL),
)


@attrs.define(eq=False)
class Engine(WorkerEngine):
    """An engine that serves no jobs; a test sets the behaviour of each hook."""

    info: EngineInfo = FULL
    listens: bool = True
    fails: BaseException | None = None
    registers: Callable[[], Awaitable[Registration]] | None = None
    seen: list[Registration] = attrs.field(factory=list)
    hangs: bool = False
    registered: int = 0
    calls: list[str] = attrs.field(factory=list)
    _end: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def serve(self, started: Callable[[], None]) -> None:
        self.calls.append("serve")
        if self.fails is not None:
            raise self.fails
        if self.listens:
            started()
        await self._end.wait()

    async def register(self) -> Registration:
        self.registered += 1
        return await self.registers() if self.registers is not None else REGISTERED

    async def watch_registration(self) -> Registration:
        return self.seen.pop(0) if self.seen else REGISTERED

    async def shutdown(self, grace: float) -> None:
        self.calls.append("shutdown")
        if self.hangs:
            await asyncio.Event().wait()
        self._end.set()

    def end_by_itself(self) -> None:
        self._end.set()


def lifecycle(
    engine: Engine, logger: RecordingLogger | None = None, **options: float
) -> EngineLifecycle:
    known = {"drain_timeout": 1.0, "register_timeout": 0.2, "registration_check_interval": 0.005}
    given = {"fail_fast": False, **known, **options}
    return EngineLifecycle(
        info=engine.info,
        engine=GuardedEngine(engine, build_boundary(engine.info)),
        options=LifecycleOptions(**given),  # type: ignore[arg-type]
        logger=logger if logger is not None else RecordingLogger(),
    )


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def run_until_failure(running: EngineLifecycle) -> LandlordEnginesError:
    with pytest.raises(LandlordEnginesError) as caught:
        await running.run(asyncio.Event())
    assert running.state in (EngineState.STOPPED, EngineState.NEW)
    return caught.value


async def run_until(running: EngineLifecycle, condition: Callable[[], bool]) -> None:
    """Run until the condition holds, then stop and wait for the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(running.run(stop))
    await wait_until(condition)
    stop.set()
    await task


async def test_running_steps_learn_the_drain_deadline_before_the_engine_shuts_down() -> None:
    engine, deadlines = Engine(), list[tuple[float, list[str]]]()
    running = lifecycle(engine)
    running.on_drain = lambda deadline: deadlines.append((deadline, list(engine.calls)))

    await run_until(running, lambda: engine.registered == 1)

    assert deadlines == [(running.deadline, ["serve"])]


async def test_an_engine_serves_registers_and_is_drained() -> None:
    engine = Engine()
    running = lifecycle(engine)

    await run_until(running, lambda: running.registration == REGISTERED)

    assert engine.calls == ["serve", "shutdown"]
    assert running.state is EngineState.STOPPED
    assert running.deadline is not None
    assert running.seconds_left() == 0


async def test_a_stop_before_the_engine_listens_drains_it() -> None:
    running = lifecycle(Engine(listens=False))

    await run_until(running, lambda: running.state is EngineState.STARTING)

    assert running.state is EngineState.STOPPED


async def test_a_stop_during_a_registration_cancels_it() -> None:
    async def hang() -> Registration:
        await asyncio.Event().wait()
        return REGISTERED

    engine = Engine(registers=hang)

    await run_until(lifecycle(engine), lambda: engine.registered == 1)

    assert engine.calls[-1] == "shutdown"


async def test_an_engine_that_cannot_give_locks_is_refused() -> None:
    engine = Engine(EngineInfo(name="loose", contract=1))

    assert isinstance(await run_until_failure(lifecycle(engine)), EngineRefused)
    assert engine.calls == []


async def test_a_refusal_of_an_engine_is_raised() -> None:
    assert isinstance(
        await run_until_failure(lifecycle(Engine(fails=EngineRefused("stub")))), EngineRefused
    )


async def test_any_error_of_an_engine_becomes_one_of_the_hosts_errors() -> None:
    error = await run_until_failure(lifecycle(Engine(fails=ZeroDivisionError())))

    assert isinstance(error, EngineFailed)
    assert "worker engine test raised ZeroDivisionError in serve" in error.message


async def test_an_engine_that_ends_by_itself_has_failed() -> None:
    engine = Engine()
    running = lifecycle(engine)
    task = asyncio.create_task(running.run(asyncio.Event()))
    await wait_until(lambda: running.registration == REGISTERED)

    engine.end_by_itself()

    with pytest.raises(EngineFailed, match="stopped unexpectedly"):
        await task


async def test_a_registration_is_retried_and_each_attempt_is_logged() -> None:
    async def fail_once() -> Registration:
        if engine.registered == 1:
            raise RegistrationFailed("nobody there", hint="look")
        return REGISTERED

    engine, logger = Engine(registers=fail_once), RecordingLogger()
    running = lifecycle(engine, logger)

    await run_until(running, lambda: running.registration == REGISTERED)

    (values,) = [values for _, event, values in logger.lines if event == "not registered yet"]
    assert "nobody there" in str(values["reason"])
    assert values["attempt"] == 1


async def test_fail_fast_ends_after_the_registration_timeout() -> None:
    async def fail() -> Registration:
        raise RegistrationFailed("nobody there")

    error = await run_until_failure(lifecycle(Engine(registers=fail), fail_fast=True))

    assert isinstance(error, RegistrationFailed)
    assert "nobody there" in error.message


async def test_fail_fast_ends_at_once_if_a_registration_is_refused() -> None:
    async def refuse() -> Registration:
        raise RegistrationRefused("handlers went")

    error = await run_until_failure(lifecycle(Engine(registers=refuse), fail_fast=True))

    assert isinstance(error, RegistrationRefused)


async def test_a_refused_registration_leaves_the_worker_serving() -> None:
    async def refuse() -> Registration:
        raise RegistrationRefused("handlers went")

    logger = RecordingLogger()
    running = lifecycle(Engine(registers=refuse), logger)

    await run_until(running, lambda: "registration refused" in logger.events("error"))

    assert "handlers went" in str(logger.lines)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("seen", [UNREGISTERED, OUTDATED])
async def test_a_refusal_that_repeats_is_logged_once(seen: Registration) -> None:
    async def refuse() -> Registration:
        raise RegistrationRefused("handlers went")

    engine, logger = Engine(registers=refuse, seen=[seen] * 1000), RecordingLogger()

    await run_until(lifecycle(engine, logger), lambda: engine.registered == 4)

    logged = [event for _, event, _ in logger.lines if event.startswith("registration")]
    assert logged == ["registration refused"]


@pytest.mark.usefixtures("short_pauses")
async def test_a_worker_that_was_refused_logs_that_it_is_registered() -> None:
    async def refuse_twice() -> Registration:
        if engine.registered < 3:
            raise RegistrationRefused("handlers went")
        return REGISTERED

    engine, logger = (
        Engine(registers=refuse_twice, seen=[UNREGISTERED, UNREGISTERED]),
        RecordingLogger(),
    )
    running = lifecycle(engine, logger)

    await run_until(running, running.registered.is_set)

    logged = [event for _, event, _ in logger.lines if event.startswith("registration")]
    assert logged == ["registration refused", "registration changed"]


async def test_a_lost_registration_is_repeated() -> None:
    engine, logger = Engine(seen=[REGISTERED, UNREGISTERED]), RecordingLogger()

    await run_until(lifecycle(engine, logger), lambda: engine.registered == 2)

    states = [
        values["state"] for _, event, values in logger.lines if event == "registration changed"
    ]
    assert states == ["registered", "unregistered", "registered"]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses a twentieth of their maximum, without jitter."""
    monkeypatch.setattr(backoff, "full_jitter", lambda longest: longest / 20)


@pytest.mark.usefixtures("short_pauses")
async def test_an_outdated_registration_is_repeated_with_growing_pauses() -> None:
    async def report_outdated_twice() -> Registration:
        return OUTDATED if engine.registered < 3 else REGISTERED

    engine, logger = (
        Engine(registers=report_outdated_twice, seen=[OUTDATED] * 100),
        RecordingLogger(),
    )
    running = lifecycle(engine, logger)

    await run_until(running, running.registered.is_set)

    assert engine.registered == 3
    # A pause is longer than the check interval, so checks run in between.
    assert len(engine.seen) < 98
    states = [
        values["state"] for _, event, values in logger.lines if event == "registration changed"
    ]
    assert states[:2] == ["outdated", "registered"]


def test_after_a_correct_state_the_pauses_start_short_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda longest: 0 if longest == 1 else longest)
    retries = _RetrySchedule()

    first, second = retries.take_if_due(), retries.take_if_due()
    retries.clear()

    assert (first, second, retries.take_if_due()) == (True, False, True)


def test_the_pauses_grow_up_to_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda longest: longest)
    pauses = jittered_pauses(LONGEST_RETRY)

    assert [next(pauses) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert LONGEST_RETRY == 300


async def test_a_registration_that_is_refused_later_does_not_end_the_worker() -> None:
    async def refuse_later() -> Registration:
        if engine.registered > 1:
            raise RegistrationRefused("a limit")
        return REGISTERED

    engine = Engine(registers=refuse_later, seen=[UNREGISTERED, REGISTERED])
    logger = RecordingLogger()
    running = lifecycle(engine, logger, fail_fast=True, registration_check_interval=0.01)

    await run_until(running, lambda: running.registration.state is RegistrationState.REFUSED)

    assert "registration refused" in logger.events("error")


async def test_an_engine_that_cannot_watch_its_registration_registers_once() -> None:
    lock = {Capability.TENANT_LOCK: Support.FULL}
    engine = Engine(EngineInfo(name="blind", contract=1, capabilities=lock))
    running = lifecycle(engine)

    await run_until(running, lambda: running.registration == REGISTERED)

    assert engine.registered == 1


async def test_an_engine_that_does_not_shut_down_has_failed() -> None:
    running = lifecycle(Engine(hangs=True), drain_timeout=-1.95)

    with pytest.raises(EngineFailed, match="worker engine test did not end within"):
        await run_until(running, lambda: running.registration == REGISTERED)

    assert running.state is EngineState.STOPPED


async def test_a_registration_that_never_returns_is_cancelled_and_retried() -> None:
    async def hang_once() -> Registration:
        if engine.registered == 1:
            await asyncio.Event().wait()
        return REGISTERED

    engine, logger = Engine(registers=hang_once), RecordingLogger()
    running = lifecycle(engine, logger, register_timeout=0.01)

    await run_until(running, lambda: running.registration == REGISTERED)

    (values,) = [values for _, event, values in logger.lines if event == "not registered yet"]
    assert "register of worker engine test did not return within 0.01 s" in str(values["reason"])


async def test_a_registration_check_that_never_returns_leaves_the_worker_serving() -> None:
    class Silent(Engine):
        async def watch_registration(self) -> Registration:
            await asyncio.Event().wait()
            return REGISTERED

    running = lifecycle(Silent(), register_timeout=0.01)

    await run_until(running, lambda: "watch_registration" in running.registration.detail)

    assert running.registration.state is RegistrationState.UNKNOWN


@pytest.mark.parametrize("exits", [SystemExit(0), KeyboardInterrupt()])
async def test_an_engine_that_calls_exit_has_failed(exits: BaseException) -> None:
    error = await run_until_failure(lifecycle(Engine(fails=exits)))

    assert isinstance(error, EngineFailed)
    assert f"worker engine test raised {type(exits).__name__}" in error.message


@pytest.mark.parametrize("exits", [SystemExit(0), KeyboardInterrupt()])
@pytest.mark.parametrize("hook", ["register", "watch_registration", "shutdown"])
async def test_an_engine_that_calls_exit_in_any_hook_has_failed(
    monkeypatch: pytest.MonkeyPatch, hook: str, exits: BaseException
) -> None:
    async def call_exit(*_: object) -> Registration:
        raise exits

    engine, stop = Engine(), asyncio.Event()
    monkeypatch.setattr(Engine, hook, call_exit)
    running = lifecycle(engine)
    if hook == "shutdown":
        stop.set()

    with pytest.raises(EngineFailed, match=f"worker engine test raised {type(exits).__name__}"):
        await running.run(stop)

    assert running.state is EngineState.STOPPED


async def test_an_engine_that_only_plans_tenant_locks_is_refused() -> None:
    lock = {Capability.TENANT_LOCK: Support.PLANNED}
    engine = Engine(EngineInfo(name="hasty", contract=1, capabilities=lock))

    assert isinstance(await run_until_failure(lifecycle(engine)), EngineRefused)
    assert engine.registered == 0
    assert engine.calls == ["serve", "shutdown"]


async def test_an_unreachable_backend_leaves_the_worker_serving() -> None:
    class Deaf(Engine):
        async def watch_registration(self) -> Registration:
            raise RegistrationFailed("no answer")

    running = lifecycle(Deaf())

    await run_until(running, lambda: running.registration.detail == "no answer")

    assert running.registration.state is RegistrationState.UNKNOWN


async def test_a_lifecycle_runs_once() -> None:
    running = lifecycle(Engine())
    await run_until(running, lambda: running.registration == REGISTERED)

    with pytest.raises(EngineFailed, match="cannot change from state stopped to starting"):
        await running.run(asyncio.Event())


async def test_an_engine_that_starts_to_serve_after_the_stop_changes_nothing() -> None:
    running = lifecycle(Engine(listens=False))
    await run_until(running, lambda: running.state is EngineState.STARTING)

    running._on_started()

    assert running.state is EngineState.STOPPED


@pytest.mark.parametrize("support", [Support.PLANNED, Support.UNSUPPORTED])
def test_an_engine_that_could_not_serve_is_refused_beforehand(support: Support) -> None:
    info = EngineInfo(name="own", contract=1, capabilities={Capability.TENANT_LOCK: support})

    with pytest.raises(EngineRefused, match="has no tenant lock"):
        refuse_unable(info, Engine())


def test_an_engine_that_can_serve_is_not_refused() -> None:
    refuse_unable(FULL, Engine())
