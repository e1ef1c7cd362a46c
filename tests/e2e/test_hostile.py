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

from landlord_test_target.harness import Harness
from landlord_test_target.hostile import CONFIGS, NAMES, body
from landlord_test_target.waiting import wait_for

MIB = 1024 * 1024

Verdict = tuple[str, str]


async def verdict(harness: Harness, execution_id: str) -> Verdict:
    """Return the job's result, or the reason why it is held."""

    async def check() -> Verdict | None:
        row = await harness.wait_row(execution_id)
        if row["status"] == "completed":
            return row["completion_result"], row.get("completion_failure", "")
        failure = row.get("last_failure", "")
        return ("held", failure) if row["status"] == "backing-off" and failure else None

    ended = await wait_for(check)
    assert ended is not None
    return ended


async def test_a_tenant_may_be_called_anything(harness: Harness) -> None:
    worker = await harness.worker()
    tenants = {name: f"{word}{uuid4().hex}{word}"[:512] for name, word in NAMES.items()}

    async def run_lifecycle(tenant: str) -> list[str]:
        outcomes = []
        for operation, version in (("provision", 1), ("update", 2), ("delete", 2)):
            raw = body(tenant, json.dumps({"version": version}).encode(), operation)
            answer = await harness.wait_done(await harness.dispatcher.dispatch(raw))
            outcomes.append(answer["output"]["status"])
        assert await harness.wait_outcomes(tenant, 3) == outcomes
        assert {row["tenant"] for row in await harness.target.rows(tenant)} == {tenant}
        assert await harness.target.resources(tenant) == []
        return outcomes

    all_outcomes = await asyncio.gather(*(run_lifecycle(tenant) for tenant in tenants.values()))

    expected = ["created", "updated", "deleted"]
    assert {
        name: outcomes
        for name, outcomes in zip(tenants, all_outcomes, strict=True)
        if outcomes != expected
    } == {}
    logged = [json.loads(line) for line in worker.log_text().splitlines()]
    done = [line["tenant"] for line in logged if line["message"] == "job completed"]
    assert sorted(done) == sorted(3 * list(tenants.values()))
    assert not any(line["message"] == "forged" for line in logged)


@pytest.mark.parametrize("engine", ["target", "mock"])
async def test_any_configuration_is_applied_refused_or_held(harness: Harness, engine: str) -> None:
    worker = await harness.worker(compute_provider=engine)

    async def send_config(config: bytes) -> Verdict:
        job = await harness.dispatcher.dispatch(body(harness.tenant(), config))
        return await verdict(harness, job)

    verdicts = await asyncio.gather(*(send_config(config) for config in CONFIGS.values()))

    assert [
        (name, result, failure)
        for name, (result, failure) in zip(CONFIGS, verdicts, strict=True)
        if not (result == "success" or failure.startswith("[400]") or "LE402: " in failure)
        or len(failure) > 5000
    ] == []
    assert all(json.loads(line)["message"] for line in worker.log_text().splitlines())


async def test_in_the_text_format_control_characters_are_escaped(harness: Harness) -> None:
    worker = await harness.launch(harness.config(), "--log-format=console", "--log-level=debug")
    await wait_for(lambda: _contains(worker.log_text, "state=registered"))

    config = b'{"compute_provider": "\\u001b[2J\\nforged"}'
    bodies = (body(f"{name}{uuid4().hex}"[:512], config) for name in NAMES.values())
    jobs = [await harness.dispatcher.dispatch(raw) for raw in bodies]
    await asyncio.gather(*(verdict(harness, job) for job in jobs))

    lines = worker.log_text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("20") for line in lines if line)
    assert "x1b[2J" in worker.log_text()


async def test_a_name_that_no_tenant_can_have_ends_with_400(harness: Harness) -> None:
    await harness.worker()

    raw = b'{"tenant_id": "' + b"x" * 513 + b'"}'
    result, failure = await verdict(harness, await harness.dispatcher.dispatch(raw))

    assert (result, failure[:5]) == ("failure", "[400]")


@pytest.mark.long
async def test_bodies_as_large_as_restate_takes_are_held_and_not_read(harness: Harness) -> None:
    worker = await harness.worker(compute_provider="mock")
    assert worker.process is not None
    process = psutil.Process(worker.process.pid)
    before, most = process.memory_info().rss, 0
    # A parsed body of this size would take twenty times its size in memory.
    raw = b'{"a": [' + b"[]," * (4 * MIB) + b"[]]}"

    async def watch_memory_until(check: Callable[[], Awaitable[Any]]) -> None:
        nonlocal most
        while not await check():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    jobs = [await harness.dispatcher.dispatch(body(harness.tenant(), raw)) for _ in range(2)]
    for job in jobs:
        await asyncio.wait_for(watch_memory_until(lambda job=job: _is_held(harness, job)), 60)  # type: ignore[misc]

    assert most - before < 150 * MIB
    assert await harness.run(harness.tenant(), "provision", "mock") == "created"


async def test_a_body_larger_than_restate_takes_never_reaches_the_worker(harness: Harness) -> None:
    await harness.worker()
    raw = body(harness.tenant(), b'"' + b"x" * (33 * MIB) + b'"')

    url = f"{harness.restate.endpoint}/{harness.service}/execute/send"
    # Restate answers 413 or closes the connection.
    with suppress(aiohttp.ClientOSError):
        async with harness.http.post(url, data=BytesIO(raw)) as response:
            assert response.status == 413

    sql = f"SELECT id FROM sys_invocation WHERE target_service_name = '{harness.service}'"
    assert await harness.admin.query(sql) == ()


async def _is_held(harness: Harness, job: str) -> bool:
    row = await harness.wait_row(job)
    return row["status"] == "backing-off" and "$.desired_config has" in row.get("last_failure", "")


async def _contains(text: Callable[[], str], word: str) -> bool:
    return word in text()
