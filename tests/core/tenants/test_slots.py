import asyncio

from landlord_engines_core.tenants import Slots


async def hold(slots: Slots, release: asyncio.Event) -> None:
    async with slots.one():
        await release.wait()


async def started(slots: Slots, count: int, release: asyncio.Event) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(hold(slots, release)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_no_more_slots_are_held_than_there_are() -> None:
    slots, release = Slots(limit=2), asyncio.Event()

    tasks = await started(slots, 3, release)
    assert (slots.taken, slots.waiting) == (2, 1)
    release.set()
    await asyncio.gather(*tasks)

    assert (slots.taken, slots.waiting) == (0, 0)


async def test_nothing_is_stuck_while_nobody_waits() -> None:
    slots, release = Slots(limit=1), asyncio.Event()

    tasks = await started(slots, 1, release)

    assert slots.stuck_for() == 0
    release.set()
    await asyncio.gather(*tasks)


async def test_slots_are_stuck_for_as_long_as_none_was_given_and_somebody_waits() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    tasks = await started(slots, 2, release)

    first = slots.stuck_for()
    await asyncio.sleep(0.01)

    assert 0 < first < slots.stuck_for()
    release.set()
    await asyncio.gather(*tasks)
    assert slots.stuck_for() == 0


async def test_who_gives_up_waiting_waits_no_more() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    holding, waiting = await started(slots, 2, release)

    waiting.cancel()
    await asyncio.wait((waiting,))

    assert (slots.taken, slots.waiting) == (1, 0)
    release.set()
    await holding
