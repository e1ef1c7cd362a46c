"""The probes of a real worker on a real restate-server, in each state of the worker."""

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any

from landlord_test_target.harness import Worker, World, wait_for
from landlord_test_target.scrape import samples, states


async def ready(world: World, worker: Worker) -> tuple[int, dict[str, Any]]:
    async with world.http.get(f"{worker.probe_url}/readyz") as response:
        return response.status, await response.json()


async def alive(world: World, worker: Worker) -> tuple[int, dict[str, Any]]:
    async with world.http.get(f"{worker.probe_url}/livez") as response:
        return response.status, await response.json()


async def metrics(world: World, worker: Worker) -> str:
    async with world.http.get(f"{worker.probe_url}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def read_samples(world: World, worker: Worker) -> Mapping[str, float]:
    return samples(await metrics(world, worker))


async def is_registered(world: World, worker: Worker, state: str) -> dict[str, Any]:
    """Wait until /readyz shows this state of the registration, and return its answer."""

    async def look() -> dict[str, Any] | None:
        status, body = await ready(world, worker)
        assert (status, body["ready"], body["state"], body["reasons"]) == (200, True, "serving", [])
        return body if body["registration"]["state"] == state else None

    body = await wait_for(look)
    assert body is not None
    assert await alive(world, worker) == (200, {"alive": True, "reasons": []})
    return body


async def shows_registration(world: World, worker: Worker, state: str) -> None:
    """Wait for the gauge, which may change later than /readyz."""

    async def look() -> bool:
        return states(await metrics(world, worker), "registration") == [state]

    assert await wait_for(look)


async def test_a_worker_without_an_admin_api_is_ready_though_not_known_to_be_registered(
    own_world: World,
) -> None:
    await own_world.restate.stop()
    worker = await own_world.launch(own_world.config())

    await worker.wait_logged("not registered yet")
    body = await is_registered(own_world, worker, "unknown")

    assert own_world.restate.admin_endpoint in body["registration"]["detail"]
    await shows_registration(own_world, worker, "unknown")
    await own_world.restate.start()
    await is_registered(own_world, worker, "registered")
    await shows_registration(own_world, worker, "registered")


async def test_the_probe_shows_an_outage_of_the_admin_api(own_world: World) -> None:
    worker = await own_world.worker()
    await is_registered(own_world, worker, "registered")

    await own_world.restate.stop()
    await is_registered(own_world, worker, "unknown")
    await shows_registration(own_world, worker, "unknown")
    await own_world.restate.start()

    await is_registered(own_world, worker, "registered")
    await shows_registration(own_world, worker, "registered")


async def test_after_a_wiped_server_the_probe_shows_the_new_registration(own_world: World) -> None:
    worker = await own_world.worker()

    await own_world.restate.kill()
    shutil.rmtree(own_world.restate.folder)
    await own_world.restate.start()
    await worker.wait_logged("registration changed", state="unregistered")

    await is_registered(own_world, worker, "registered")
    await shows_registration(own_world, worker, "registered")


async def test_a_worker_unknown_to_its_backend_shows_unregistered_and_then_registered(
    world: World,
) -> None:
    config = world.config()
    config["workflow"]["restate"]["worker_register_on_startup"] = False
    worker = await world.launch(config)
    await worker.wait_logged("registration changed", state="unregistered")

    await is_registered(world, worker, "unregistered")
    await shows_registration(world, worker, "unregistered")
    code, _ = await worker.command("register", "--make-latest")

    assert code == 0
    await is_registered(world, worker, "registered")


async def test_a_worker_that_is_not_the_latest_shows_it_and_is_ready(world: World) -> None:
    first = await world.worker()
    await world.worker()

    await is_registered(world, first, "not-latest")

    await shows_registration(world, first, "not-latest")


async def test_a_worker_that_drains_is_not_ready_and_alive_until_its_step_has_ended(
    world: World,
) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=4.0)
    await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")

    ending = asyncio.create_task(worker.terminate())
    await worker.wait_logged("draining")
    status, body = await ready(world, worker)
    living, _ = await alive(world, worker)
    values = await read_samples(world, worker)

    assert (status, body["ready"], body["state"]) == (503, False, "draining")
    assert body["reasons"][0].startswith("draining: at most ")
    assert body["registration"]["state"] == "registered"
    assert living == 200
    assert values['state{state="draining"}'] == 1
    assert 0 < values["drain_remaining_seconds"] <= 10
    assert (values["jobs_in_flight"], values["slots_used"]) == (1, 1)
    assert await ending == 0


async def test_outcomes_of_jobs_are_counted_and_no_tenant_is_named(world: World) -> None:
    worker = await world.worker()
    tenant, other = world.tenant(), world.tenant()
    for operation in ("provision", "provision", "delete"):
        await world.run(tenant, operation, version=1)
    held = await world.send(other, "provision", version=13)
    await world.wait_held(held, "must not be 13")

    text = await metrics(world, worker)
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
    await world.dispatcher.kill(held)


async def test_a_held_job_that_continues_is_no_longer_counted_as_held(world: World) -> None:
    worker = await world.worker(hold_retry_interval="300ms", step_timeout="20s")
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", refuse=1)
    job = await world.send(tenant, "provision", version=1)

    await world.wait_done(job)

    values = await read_samples(world, worker)
    assert values['attempt_failures_total{kind="held"}'] >= 1
    assert values["jobs_held"] == 0
