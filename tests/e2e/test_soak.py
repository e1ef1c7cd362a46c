"""A small `nox -s soak` with each kind of operation, its outcome, and the tenants' final state.

Only the long form has enough jobs to judge memory.
"""

import pytest

from benchmarks.soak.lifetimes import LIFETIMES
from benchmarks.soak.run import Plan, soak


@pytest.mark.long
async def test_tenants_come_and_go_and_leave_nothing_behind() -> None:
    plan = Plan(jobs=120, tenants=24, every=60, clients=8)

    # The soak itself checks each outcome, and that exactly the living tenants have a state.
    *_, soaked = [seen async for seen in soak(plan)]

    first, last = soaked.samples
    assert last.jobs >= 120
    assert set(soaked.operations) == {operation for life in LIFETIMES for operation in life}
    assert last.state_rows <= 2 * 24
    assert last.engine_cache > first.engine_cache > 0
    assert last.defaults_cache == 1
    assert last.tasks < 50
