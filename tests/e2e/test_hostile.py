"""A tenant's hostile names and configurations are never executed, and never leave the tenant."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from typing import Any
from uuid import uuid4

import aiohttp
import psutil
import pytest

from landlord_test_target.harness import World
from landlord_test_target.hostile import CONFIGS, NAMES, body
from landlord_test_target.waiting import wait_for

MIB = 1024 * 1024

Verdict = tuple[str, str]


async def verdict(world: World, execution_id: str) -> Verdict:
    """Return the job's result, or the reason why it is held."""

    async def look() -> Verdict | None:
        row = await world.wait_row(execution_id)
        if row["status"] == "completed":
            return row["completion_result"], row.get("completion_failure", "")
        said = row.get("last_failure", "")
        return ("held", said) if row["status"] == "backing-off" and said else None

    ended = await wait_for(look)
    assert ended is not None
    return ended


async def test_a_tenant_may_be_called_anything(world: World) -> None:
    worker = await world.worker()
    tenants = {name: f"{word}{uuid4().hex}{word}"[:512] for name, word in NAMES.items()}

    async def life(tenant: str) -> list[str]:
        outcomes = []
        for operation, version in (("provision", 1), ("update", 2), ("delete", 2)):
            sent = body(tenant, json.dumps({"version": version}).encode(), operation)
            answer = await world.wait_done(await world.dispatcher.dispatch(sent))
            outcomes.append(answer["output"]["status"])
        assert await world.wait_outcomes(tenant, 3) == outcomes
        assert {row["tenant"] for row in await world.target.rows(tenant)} == {tenant}
        assert await world.target.resources(tenant) == []
        return outcomes

    lives = await asyncio.gather(*(life(tenant) for tenant in tenants.values()))

    expected = ["created", "updated", "deleted"]
    assert {name: life for name, life in zip(tenants, lives, strict=True) if life != expected} == {}
    logged = [json.loads(line) for line in worker.log_text().splitlines()]
    done = [line["tenant"] for line in logged if line["message"] == "job completed"]
    assert sorted(done) == sorted(3 * list(tenants.values()))
    assert not any(line["message"] == "forged" for line in logged)


@pytest.mark.parametrize("engine", ["target", "mock"])
async def test_any_configuration_is_applied_refused_or_held(world: World, engine: str) -> None:
    worker = await world.worker(compute_provider=engine)

    async def sent(config: bytes) -> Verdict:
        job = await world.dispatcher.dispatch(body(world.tenant(), config))
        return await verdict(world, job)

    verdicts = await asyncio.gather(*(sent(config) for config in CONFIGS.values()))

    assert [
        (name, result, said)
        for name, (result, said) in zip(CONFIGS, verdicts, strict=True)
        if not (result == "success" or said.startswith("[400]") or "LE402: " in said)
        or len(said) > 5000
    ] == []
    assert all(json.loads(line)["message"] for line in worker.log_text().splitlines())


async def test_in_the_text_format_control_characters_are_escaped(world: World) -> None:
    worker = await world.launch(world.config(), "--log-format=console", "--log-level=debug")
    await wait_for(lambda: _contains(worker.log_text, "state=registered"))

    config = b'{"compute_provider": "\\u001b[2J\\nforged"}'
    bodies = (body(f"{name}{uuid4().hex}"[:512], config) for name in NAMES.values())
    jobs = [await world.dispatcher.dispatch(raw) for raw in bodies]
    await asyncio.gather(*(verdict(world, job) for job in jobs))

    lines = worker.log_text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("20") for line in lines if line)
    assert "x1b[2J" in worker.log_text()


async def test_a_name_that_no_tenant_can_have_ends_with_400(world: World) -> None:
    await world.worker()

    sent = b'{"tenant_id": "' + b"x" * 513 + b'"}'
    result, said = await verdict(world, await world.dispatcher.dispatch(sent))

    assert (result, said[:5]) == ("failure", "[400]")


@pytest.mark.long
async def test_bodies_as_large_as_restate_takes_are_held_and_not_read(world: World) -> None:
    worker = await world.worker(compute_provider="mock")
    assert worker.process is not None
    process = psutil.Process(worker.process.pid)
    before, most = process.memory_info().rss, 0
    # If the worker parsed it, this body would take twenty times its size in memory.
    raw = b'{"a": [' + b"[]," * (4 * MIB) + b"[]]}"

    async def sampled(look: Callable[[], Awaitable[Any]]) -> None:
        nonlocal most
        while not await look():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    jobs = [await world.dispatcher.dispatch(body(world.tenant(), raw)) for _ in range(2)]
    for job in jobs:
        await asyncio.wait_for(sampled(lambda job=job: _is_held(world, job)), 60)  # type: ignore[misc]

    assert most - before < 150 * MIB
    assert await world.run(world.tenant(), "provision", "mock") == "created"


async def test_a_body_larger_than_restate_takes_never_reaches_the_worker(world: World) -> None:
    await world.worker()
    sent = body(world.tenant(), b'"' + b"x" * (33 * MIB) + b'"')

    url = f"{world.restate.endpoint}/{world.service}/execute/send"
    # Restate answers 413 or closes the connection.
    with suppress(aiohttp.ClientOSError):
        async with world.http.post(url, data=BytesIO(sent)) as response:
            assert response.status == 413

    sql = f"SELECT id FROM sys_invocation WHERE target_service_name = '{world.service}'"
    assert await world.admin.query(sql) == ()


async def _is_held(world: World, job: str) -> bool:
    row = await world.wait_row(job)
    return row["status"] == "backing-off" and "$.desired_config has" in row.get("last_failure", "")


async def _contains(text: Callable[[], str], word: str) -> bool:
    return word in text()
