import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.errors import Queued
from landlord_engines_core.tenants import Slots, slots as module


async def hold(slots: Slots, release: asyncio.Event, name: str = "") -> None:
    async with slots.hold(name or str(id(asyncio.current_task()))):
        await release.wait()


async def start_holders(
    slots: Slots, count: int, release: asyncio.Event
) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(hold(slots, release)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_no_more_slots_are_held_than_there_are() -> None:
    slots, release = Slots(limit=2), asyncio.Event()

    tasks = await start_holders(slots, 3, release)
    assert (slots.taken, slots.waiting) == (2, 1)
    release.set()
    await asyncio.gather(*tasks)

    assert (slots.taken, slots.waiting) == (0, 0)


async def test_nothing_is_stuck_while_nobody_waits() -> None:
    slots, release = Slots(limit=1), asyncio.Event()

    tasks = await start_holders(slots, 1, release)

    assert slots.stuck_for() == 0
    release.set()
    await asyncio.gather(*tasks)


async def test_slots_are_stuck_for_as_long_as_none_was_given_and_somebody_waits() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    tasks = await start_holders(slots, 2, release)

    first = slots.stuck_for()
    await asyncio.sleep(0.01)

    assert 0 < first < slots.stuck_for()
    release.set()
    await asyncio.gather(*tasks)
    assert slots.stuck_for() == 0


async def test_a_waiter_that_gives_up_no_longer_counts_as_waiting() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    holding, waiting = await start_holders(slots, 2, release)

    waiting.cancel()
    await asyncio.wait((waiting,))

    assert (slots.taken, slots.waiting) == (1, 0)
    release.set()
    await holding


async def test_the_deadline_begins_with_the_slot() -> None:
    slots, release = Slots(limit=1, step_timeout=0.4), asyncio.Event()
    order: list[str] = []

    async def take_slot(name: str, seconds: float) -> None:
        async with slots.hold(name):
            await asyncio.sleep(seconds)
            order.append(name)

    await asyncio.gather(take_slot("first", 0.15), take_slot("second", 0.3))

    assert order == ["first", "second"]
    with pytest.raises(TimeoutError):
        await hold(slots, release)
    assert slots.taken == 0


async def test_a_job_without_a_slot_leaves_the_queue_and_keeps_its_place() -> None:
    slots, release = Slots(limit=1, step_timeout=0.05), asyncio.Event()
    slots.taken = 1  # The first job holds the slot for longer than any other waits.
    with pytest.raises(Queued) as queued:
        await hold(slots, release, "early")
    assert queued.value.retry_after is not None
    assert queued.value.retry_after <= 1
    assert (slots.taken, slots.waiting) == (1, 0)
    assert slots.stuck_for() > 0
    slots.step_timeout = 5.0
    late_holder = asyncio.create_task(hold(slots, release, "late"))
    await asyncio.sleep(0)
    early = asyncio.create_task(hold(slots, release, "early"))
    await asyncio.sleep(0)

    assert [waiter is slots._attempts["early"] for waiter in slots._queue] == [True, False]
    slots.taken = 0
    slots._grant()
    release.set()
    await asyncio.gather(early, late_holder)
    assert (slots.taken, slots.waiting) == (0, 0)


async def test_jobs_that_arrived_together_leave_the_queue_at_different_times() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    loop, leave_times = asyncio.get_running_loop(), list[float]()

    async def wait(name: str) -> None:
        with pytest.raises(Queued):
            await hold(slots, release, name)
        leave_times.append(loop.time())

    (holding,) = await start_holders(slots, 1, release)
    slots.step_timeout = 1.6
    began = loop.time()
    await asyncio.gather(*(wait(str(number)) for number in range(30)))

    assert max(leave_times) - min(leave_times) > 0.04
    assert min(leave_times) - began >= 0.8
    release.set()
    await holding


async def test_a_place_in_the_queue_whose_job_does_not_return_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POSITION_KEPT", 0.0)
    slots, release = Slots(limit=1, step_timeout=0.01), asyncio.Event()
    slots.taken = 1
    with pytest.raises(Queued):
        await hold(slots, release, "killed")
    assert slots.stuck_for() == 0

    with pytest.raises(Queued):
        await hold(slots, release, "next")

    assert list(slots._kept) == ["next"]


async def test_a_younger_attempt_takes_the_place_of_one_that_nobody_ended() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    holding = asyncio.create_task(hold(slots, release, "holds"))
    await asyncio.sleep(0)
    replaced = asyncio.create_task(hold(slots, release, "job"))
    await asyncio.sleep(0)
    behind = asyncio.create_task(hold(slots, release, "behind"))
    await asyncio.sleep(0)
    younger = asyncio.create_task(hold(slots, release, "job"))

    with pytest.raises(Queued):
        await replaced

    assert slots._queue[0] is slots._attempts["job"]
    release.set()
    await asyncio.gather(holding, behind, younger)
    assert (slots.taken, slots.waiting, slots._attempts) == (0, 0, {})


async def test_a_slot_given_to_an_attempt_that_just_ended_goes_to_the_next() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    first = asyncio.create_task(hold(slots, release))
    await asyncio.sleep(0)
    others = await start_holders(slots, 2, asyncio.Event())
    given = slots._queue[0]
    release.set()
    while not given.granted.done():
        await asyncio.sleep(0)

    others[0].cancel()
    await asyncio.wait(others[:1])

    assert (slots.taken, slots.waiting) == (1, 0)
    others[1].cancel()
    await asyncio.wait(others)
    await first
    assert slots.taken == 0


async def test_an_attempt_that_was_replaced_and_cancelled_at_once_leaves_nothing() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    holding = asyncio.create_task(hold(slots, release, "holds"))
    await asyncio.sleep(0)
    replaced = asyncio.create_task(hold(slots, release, "job"))
    await asyncio.sleep(0)
    waiter = slots._attempts["job"]
    younger = asyncio.create_task(hold(slots, release, "job"))
    while not waiter.granted.done():
        await asyncio.sleep(0)

    replaced.cancel()
    await asyncio.wait((replaced,))

    assert slots.waiting == 1
    release.set()
    await asyncio.gather(holding, younger)
    assert (slots.taken, slots.waiting) == (0, 0)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("enter", "cancel", "release", "lock")),
        st.integers(min_value=0, max_value=5),
    ),
    max_size=60,
)


@given(actions=ACTS, limit=st.integers(min_value=1, max_value=3))
def test_no_interleaving_gives_more_slots_than_there_are_or_one_to_an_ended_attempt(
    actions: Sequence[tuple[str, int]], limit: int
) -> None:
    asyncio.run(_run_interleaved(actions, limit))


async def _run_interleaved(actions: Sequence[tuple[str, int]], limit: int) -> None:
    slots, inside, served = Slots(limit=limit), set[object](), list[int]()
    attempts: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    async def attempt(number: int, release: asyncio.Event) -> None:
        async with slots.hold(str(number % 4)):
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            inside.add(task)
            served.append(number)
            try:
                assert len(inside) <= limit
                await release.wait()
            finally:
                inside.remove(task)

    for take_slot, which in actions:
        if take_slot == "enter":
            release = asyncio.Event()
            attempts.append((asyncio.create_task(attempt(len(attempts), release)), release))
        elif take_slot == "lock":
            await asyncio.sleep(0)
        elif attempts:
            task, release = attempts[-1 - which % len(attempts)]
            task.cancel() if take_slot == "cancel" else release.set()
        assert slots.taken <= limit
        assert not (slots.waiting and slots.taken < limit)
    for _, release in attempts:
        release.set()
    results = await asyncio.gather(*(task for task, _ in attempts), return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError | Queued) for end in results)
    assert (slots.taken, slots.waiting, slots._attempts) == (0, 0, {})
