"""A small `nox -s soak`: creates, updates and deletes tenants, and checks what is left.

Memory is judged only by the full `nox -s soak`, which runs enough jobs.
"""

import pytest

from benchmarks.soak.lives import LIVES
from benchmarks.soak.run import Plan, soak


@pytest.mark.long
async def test_tenants_come_and_go_and_leave_nothing_behind() -> None:
    plan = Plan(jobs=120, tenants=24, jobs_per_sample=60, clients=8)

    # The soak itself checks each outcome, and that exactly the living tenants have a state.
    *_, soaked = [seen async for seen in soak(plan)]

    first, last = soaked.samples
    assert last.jobs >= 120
    assert set(soaked.stages) == {stage for life in LIVES for stage in life}
    assert last.state_rows <= 2 * 24
    assert last.engine_cache > first.engine_cache > 0
    assert last.defaults_cache == 1
    assert last.tasks < 50
