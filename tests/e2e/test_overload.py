"""Many more jobs than slots: waiting for one costs no deadline, and the slots stay a bound."""

from collections.abc import Sequence
from typing import Any

import pytest

from landlord_test_target.harness import World, wait_for

ACT = 0.6
"""Seconds that each create takes; the step's deadline is three times that."""

MOST = 50

_WAITING = "landlord_worker_slots_waiting "


async def test_with_far_more_jobs_than_slots_none_is_cut_and_no_ghost_takes_a_slot(
    world: World, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("--overload")
    limit = min(MOST, count // 12)
    worker = await world.worker(
        max_concurrent_jobs=limit, step_timeout=f"{3 * ACT}s", settle_after="0s"
    )
    tenants = [world.tenant() for _ in range(count)]
    for tenant in tenants:
        await world.target.fault(tenant, "create", delay_before=ACT)
    sent = [await world.send(tenant, "provision", version=1) for tenant in tenants]
    address = worker.config["worker"]["probe_address"]
    await _many_wait(world, address, count // 2)
    ghosts = set(tenants[-count // 10 :])
    for tenant, job in zip(tenants, sent, strict=True):
        if tenant in ghosts:
            await world.admin.kill(job)

    within = 60 + 6 * ACT * count / limit

    async def ended() -> bool:
        where = f"target_service_name = '{world.service}' AND status <> 'completed'"
        rows = await world.admin.query(f"SELECT id FROM sys_invocation WHERE {where}")
        return not rows

    await wait_for(ended, within)

    rows = [row for row in await world.target.everything("ledger") if row["tenant"] in set(tenants)]
    assert _peak(rows) <= limit
    asked = [row["tenant"] for row in rows if (row["call"], row["outcome"]) == ("create", "asked")]
    assert len(asked) == len(set(asked)), "a create was cut and sent again"
    assert set(asked) == set(tenants) - ghosts
    text = await _metrics(world, address)
    assert 'landlord_worker_failures_total{kind="transient"} 0.0' in text
    assert "landlord_worker_slots_taken 0.0" in text


async def _many_wait(world: World, address: str, count: int) -> None:
    async def look() -> bool:
        text = await _metrics(world, address)
        (line,) = (one for one in text.splitlines() if one.startswith(_WAITING))
        return float(line.removeprefix(_WAITING)) >= count

    await wait_for(look)


async def _metrics(world: World, address: str) -> str:
    async with world.http.get(f"http://{address}/metrics") as response:
        return await response.text()


def _peak(rows: Sequence[dict[str, Any]]) -> int:
    """The most creates that the target had in hand at once."""
    creates = [row for row in rows if row["call"] == "create"]
    changes = sorted((row["at"], 1 if row["outcome"] == "asked" else -1) for row in creates)
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak
