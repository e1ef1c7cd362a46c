"""A small `nox -s soak`: each kind of visit, its outcome, and what is left of tenants.

Memory cannot be judged by so few jobs; that is what the long form is for.
"""

import pytest

from benchmarks.soak.lives import LIVES
from benchmarks.soak.run import Plan, soak


@pytest.mark.long
async def test_tenants_come_and_go_and_leave_nothing_behind() -> None:
    plan = Plan(jobs=120, tenants=24, every=60, clients=8)

    # Each job's outcome is checked, and that exactly the tenants that are there have a state.
    *_, soaked = [seen async for seen in soak(plan)]

    first, last = soaked.samples
    assert last.jobs >= 120
    assert set(soaked.visits) == {visit for life in LIVES for visit in life}
    assert last.state_rows <= 2 * 24
    assert last.engine_cache > first.engine_cache > 0
    assert last.defaults_cache == 1
    assert last.tasks < 50
