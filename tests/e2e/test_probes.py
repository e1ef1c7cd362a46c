"""The probes of a real worker on a real restate-server, in each state of the worker."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from typing import Any

from landlord_test_target.harness import Harness, Worker, wait_for
from landlord_test_target.scrape import current_states, samples


async def read_ready(harness: Harness, worker: Worker) -> tuple[int, dict[str, Any]]:
    async with harness.http.get(f"{worker.probe_url}/readyz") as response:
        return response.status, await response.json()


async def read_alive(harness: Harness, worker: Worker) -> tuple[int, dict[str, Any]]:
    async with harness.http.get(f"{worker.probe_url}/livez") as response:
        return response.status, await response.json()


async def metrics(harness: Harness, worker: Worker) -> str:
    async with harness.http.get(f"{worker.probe_url}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def read_samples(harness: Harness, worker: Worker) -> Mapping[str, float]:
    return samples(await metrics(harness, worker))


async def wait_registration(harness: Harness, worker: Worker, state: str) -> dict[str, Any]:
    """Wait until /readyz shows this state of the registration, and return its answer."""

    async def check() -> dict[str, Any] | None:
        status, body = await read_ready(harness, worker)
        assert (status, body["ready"], body["state"], body["reasons"]) == (200, True, "serving", [])
        return body if body["registration"]["state"] == state else None

    body = await wait_for(check)
    assert body is not None
    assert await read_alive(harness, worker) == (200, {"alive": True, "reasons": []})
    return body


async def wait_registration_gauge(harness: Harness, worker: Worker, state: str) -> None:
    """Wait for the gauge, which may change later than /readyz."""

    async def check() -> bool:
        return current_states(await metrics(harness, worker), "registration") == [state]

    assert await wait_for(check)


async def test_a_worker_without_an_admin_api_is_ready_though_not_known_to_be_registered(
    dedicated_harness: Harness,
) -> None:
    await dedicated_harness.restate.stop()
    worker = await dedicated_harness.launch(dedicated_harness.config())

    await worker.wait_logged("not registered yet")
    body = await wait_registration(dedicated_harness, worker, "unknown")

    assert dedicated_harness.restate.admin_endpoint in body["registration"]["detail"]
    await wait_registration_gauge(dedicated_harness, worker, "unknown")
    await dedicated_harness.restate.start()
    await wait_registration(dedicated_harness, worker, "registered")
    await wait_registration_gauge(dedicated_harness, worker, "registered")


async def test_the_probe_shows_an_outage_of_the_admin_api(dedicated_harness: Harness) -> None:
    worker = await dedicated_harness.worker()
    await wait_registration(dedicated_harness, worker, "registered")

    await dedicated_harness.restate.stop()
    await wait_registration(dedicated_harness, worker, "unknown")
    await wait_registration_gauge(dedicated_harness, worker, "unknown")
    await dedicated_harness.restate.start()

    await wait_registration(dedicated_harness, worker, "registered")
    await wait_registration_gauge(dedicated_harness, worker, "registered")


async def test_after_a_wiped_server_the_probe_shows_the_new_registration(
    dedicated_harness: Harness,
) -> None:
    worker = await dedicated_harness.worker()

    await dedicated_harness.restate.kill()
    shutil.rmtree(dedicated_harness.restate.folder)
    await dedicated_harness.restate.start()
    await worker.wait_logged("registration changed", state="unregistered")

    await wait_registration(dedicated_harness, worker, "registered")
    await wait_registration_gauge(dedicated_harness, worker, "registered")


async def test_a_worker_unknown_to_its_backend_shows_unregistered_and_then_registered(
    harness: Harness,
) -> None:
    config = harness.config()
    config["workflow"]["restate"]["worker_register_on_startup"] = False
    worker = await harness.launch(config)
    await worker.wait_logged("registration changed", state="unregistered")

    await wait_registration(harness, worker, "unregistered")
    await wait_registration_gauge(harness, worker, "unregistered")
    code, _ = await worker.command("register", "--make-latest")

    assert code == 0
    await wait_registration(harness, worker, "registered")


async def test_a_worker_that_is_not_the_latest_shows_it_and_is_ready(harness: Harness) -> None:
    first = await harness.worker()
    await harness.worker()

    await wait_registration(harness, first, "not-latest")

    await wait_registration_gauge(harness, first, "not-latest")


async def test_a_worker_that_drains_is_not_ready_and_alive_until_its_step_has_ended(
    harness: Harness,
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=4.0)
    await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")

    ending = asyncio.create_task(worker.terminate())
    await worker.wait_logged("draining")
    status, body = await read_ready(harness, worker)
    alive_status, _ = await read_alive(harness, worker)
    values = await read_samples(harness, worker)

    assert (status, body["ready"], body["state"]) == (503, False, "draining")
    assert body["reasons"][0].startswith("draining: at most ")
    assert body["registration"]["state"] == "registered"
    assert alive_status == 200
    assert values['state{state="draining"}'] == 1
    assert 0 < values["drain_remaining_seconds"] <= 10
    assert (values["jobs_in_flight"], values["slots_used"]) == (1, 1)
    assert await ending == 0


async def test_outcomes_of_jobs_are_counted_and_no_tenant_is_named(harness: Harness) -> None:
    worker = await harness.worker()
    tenant, other = harness.tenant(), harness.tenant()
    for operation in ("provision", "provision", "delete"):
        await harness.run(tenant, operation, version=1)
    held = await harness.send(other, "provision", version=13)
    await harness.wait_held(held, "must not be 13")

    text = await metrics(harness, worker)
    values = samples(text)

    for operation, outcome in (
        ("provision", "created"),
        ("provision", "unchanged"),
        ("delete", "deleted"),
    ):
        assert values[f'jobs_total{{operation="{operation}",outcome="{outcome}"}}'] >= 1
    assert values['step_duration_seconds_count{step="apply"}'] >= 3
    assert values['attempt_failures_total{kind="held"}'] >= 1
    assert values["jobs_held"] == 1
    (build,) = (name for name in values if name.startswith("build_info"))
    assert 'engine="restate",engine_version="0.1.0",version="0.1.0"' in build
    assert tenant not in text
    assert other not in text
    await harness.dispatcher.kill(held)


async def test_a_held_job_that_continues_is_no_longer_counted_as_held(harness: Harness) -> None:
    worker = await harness.worker(hold_retry_interval="300ms", step_timeout="20s")
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", refuse=1)
    job = await harness.send(tenant, "provision", version=1)

    await harness.wait_done(job)

    values = await read_samples(harness, worker)
    assert values['attempt_failures_total{kind="held"}'] >= 1
    assert values["jobs_held"] == 0
    # Restate enters the handler again after each step and each hold.
    on_target = '{compute_engine="target",operation="provision"}'
    assert values[f"job_lock_wait_seconds_count{on_target}"] == 1
    assert values[f"job_duration_seconds_count{on_target}"] == 1
    assert values[f"job_duration_seconds_sum{on_target}"] >= 0.3


async def test_the_duration_of_a_job_includes_the_time_before_a_restart(harness: Harness) -> None:
    worker = await harness.worker(hold_retry_interval="300ms", step_timeout="20s")
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", refuse=-1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(job, "the target refuses")

    await worker.kill()
    killed_at = time.monotonic()
    worker = await harness.restart(worker)
    away = time.monotonic() - killed_at
    await harness.target.set_fault(tenant, "create", refuse=0)
    await harness.wait_done(job)

    values = await read_samples(harness, worker)
    on_target = '{compute_engine="target",operation="provision"}'
    assert values[f"job_lock_wait_seconds_count{on_target}"] == 0
    assert values[f"job_duration_seconds_count{on_target}"] == 1
    assert values[f"job_duration_seconds_sum{on_target}"] >= away
