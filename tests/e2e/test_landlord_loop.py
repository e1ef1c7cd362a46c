"""The whole system: Landlord in memory with its mistakes, a real restate-server and a real worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import attrs
import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.models import PolledExecution
from landlord_test_target.engine import TargetCompute
from landlord_test_target.harness import Harness
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import ApiUser
from landlord_test_target.waiting import wait_for

QUICK = Intervals(reconcile=0.1, poll=0.1, retry=0.2, kill=0.1)

RunLandlord = Callable[[], AbstractAsyncContextManager[ApiUser]]


@attrs.define
class BlockableDispatcher:
    """Restate's dispatcher, which a test can block: blocked dispatches wait unsent."""

    dispatcher: Dispatcher
    is_open: asyncio.Event = attrs.field(factory=asyncio.Event)
    dispatching: int = 0
    sent: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.is_open.set()

    async def dispatch(self, body: bytes) -> str:
        self.dispatching += 1
        await self.is_open.wait()
        self.sent.append(await self.dispatcher.dispatch(body))
        return self.sent[-1]

    async def poll(self, execution_id: str) -> PolledExecution | None:
        return await self.dispatcher.poll(execution_id)

    async def kill(self, execution_id: str) -> None:
        await self.dispatcher.kill(execution_id)


@pytest.fixture
def dispatcher(harness: Harness) -> BlockableDispatcher:
    return BlockableDispatcher(harness.dispatcher)


@pytest.fixture
def run_landlord_without_worker(
    harness: Harness, dispatcher: BlockableDispatcher, http: aiohttp.ClientSession
) -> RunLandlord:
    """Run Landlord without a worker."""

    @asynccontextmanager
    async def run_landlord() -> AsyncIterator[ApiUser]:
        url = harness.target.url
        compute = ComputeRegistry(
            {name: TargetCompute(name, url) for name in ("target", "target2")}
        )
        async with landlord_in_memory(
            dispatcher, compute=compute, logger=RecordingLogger(), intervals=QUICK
        ) as running:
            yield ApiUser(url=running.url, http=http)

    return run_landlord


async def test_a_tenant_is_created_updated_and_deleted_through_landlord(
    harness: Harness, run_landlord_without_worker: RunLandlord
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)

        tenant = await landlord.create("acme", compute_provider="target", version=1)
        await landlord.wait_fields(tenant, status="ready")
        assert (await harness.target.document(tenant))["version"] == 1
        updated = await landlord.update(tenant, compute_provider="target", version=2)
        await landlord.wait_fields(tenant, status="ready")
        assert (await harness.target.document(tenant))["version"] == 2
        await landlord.archive(tenant)
        await landlord.wait_fields(tenant, status="archived")
        assert await harness.target.resources(tenant) == []
        await landlord.delete(tenant)
        await landlord.wait_removed(tenant)

    assert updated.status == 202
    assert await harness.wait_outcomes(tenant, 4) == ["created", "updated", "deleted", "absent"]
    assert len(await harness.target.ledger(tenant, "create")) == 1


NAMES = (
    "acme/with slash",
    "Bad Name! <&> ?#%2F",
    "'; DROP TABLE tenants; --",
    "ünï\u2028code ☃",
    "..",
    "a" * 255,
    "11111111-1111-1111-1111-111111111111",
)


async def test_a_tenant_may_be_called_anything(
    harness: Harness, run_landlord_without_worker: RunLandlord
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)

        for name in NAMES:
            tenant = await landlord.create(name, compute_provider="target", version=1)
            ready = await landlord.wait_fields(tenant, status="ready")
            resources = await harness.target.resources(tenant)
            await landlord.delete(tenant)
            await landlord.wait_removed(tenant)
            left = await harness.target.resources(tenant)

            assert (ready["name"], len(resources), left) == (name, 1, [])


async def test_a_changed_configuration_replaces_a_job_that_backs_off(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        tenant = await create_tenant(harness, landlord, dispatcher, refuse=-1)
        held = await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

        await harness.target.set_fault(tenant, "create", refuse=0)
        changed = await landlord.update(tenant, compute_provider="target", version=2)
        await landlord.wait_fields(tenant, status="ready")

    assert changed.status == 200
    assert (await harness.target.document(tenant))["version"] == 2
    killed = await harness.wait_status(held["workflow_execution_id"], "completed")
    assert (killed["completion_result"], len(dispatcher.sent)) == ("failure", 2)


async def test_a_configuration_that_changes_during_a_run_is_applied_by_that_run(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        tenant = await create_tenant(harness, landlord, dispatcher, delay_before=2)
        await harness.target.wait_called(tenant, "create")

        changed = await landlord.update(tenant, compute_provider="target", version=2)
        ready = await landlord.wait_fields(tenant, status="ready")

    assert changed.status == 200
    assert ready["desired_config"]["version"] == 2
    assert (await harness.target.document(tenant))["version"] == 2
    (transition,) = await harness.wait_ended(tenant, 1)
    assert transition["detail"] == "a newer configuration was applied"


async def test_without_its_api_a_change_during_a_run_is_lost_as_landlord_loses_it(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker()
        tenant = await create_tenant(harness, landlord, dispatcher, delay_before=2)
        await harness.target.wait_called(tenant, "create")

        await landlord.update(tenant, compute_provider="target", version=2)
        ready = await landlord.wait_fields(tenant, status="ready")

    assert ready["desired_config"]["version"] == 2
    assert (await harness.target.document(tenant))["version"] == 1


async def test_a_delete_during_a_run_leaves_nothing(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        tenant = await create_tenant(harness, landlord, dispatcher, delay_before=2)
        await harness.target.wait_called(tenant, "create")
        await landlord.wait_fields(tenant, status="provisioning")

        deleted = await landlord.delete(tenant)
        await landlord.wait_removed(tenant)

    assert deleted.body["status"] == "archiving"
    assert await harness.target.resources(tenant) == []
    assert len(await harness.target.ledger(tenant, "create")) == 1


async def test_the_newer_of_two_dispatches_wins_after_landlord_forgot_the_first(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        dispatcher.is_open.clear()
        tenant = await landlord.create("acme", compute_provider="target", version=1)
        await wait_dispatching(dispatcher)

        await landlord.update(tenant, compute_provider="target", version=2)
        dispatcher.is_open.set()
        ready = await landlord.wait_fields(tenant, status="ready")
        for job in dispatcher.sent:
            await harness.wait_status(job, "completed")

    assert len(dispatcher.sent) == 2
    assert ready["status_message"].endswith(dispatcher.sent[1])
    assert (await harness.target.document(tenant))["version"] == 2


async def test_tenants_fail_without_a_worker_and_can_only_be_deleted_then(
    harness: Harness, run_landlord_without_worker: RunLandlord
) -> None:
    async with run_landlord_without_worker() as landlord:
        tenant = await landlord.create("acme", compute_provider="target", version=1)
        failed = await landlord.wait_fields(tenant, status="failed")
        refused = await landlord.update(tenant, compute_provider="target", version=2)
        await harness.worker(api=landlord.url)

        await landlord.delete(tenant)
        await landlord.wait_removed(tenant)

    assert failed["status_message"] == "Reconciliation failed after 5 retries: <nil>"
    assert refused.status == 409
    assert await harness.wait_outcomes(tenant, 1) == ["absent"]


async def test_landlord_takes_a_job_killed_by_an_operator_for_a_success(
    harness: Harness, run_landlord_without_worker: RunLandlord, dispatcher: BlockableDispatcher
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        tenant = await create_tenant(harness, landlord, dispatcher, refuse=-1)
        held = await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

        await harness.dispatcher.kill(held["workflow_execution_id"])
        await landlord.wait_fields(tenant, status="ready")

    assert await harness.target.resources(tenant) == []


async def test_a_tenant_that_moves_to_another_engine_exists_only_once(
    harness: Harness, run_landlord_without_worker: RunLandlord
) -> None:
    async with run_landlord_without_worker() as landlord:
        await harness.worker(api=landlord.url)
        tenant = await landlord.create("acme", compute_provider="target", version=1)
        await landlord.wait_fields(tenant, status="ready")

        await landlord.update(tenant, compute_provider="target2", version=1)
        await landlord.wait_fields(tenant, status="ready")

    assert [resource["engine"] for resource in await harness.target.resources(tenant)] == [
        "target2"
    ]


async def create_tenant(
    harness: Harness, landlord: ApiUser, dispatcher: BlockableDispatcher, **faults: float
) -> str:
    """Create a tenant whose target fails from the first request, and return the tenant's id."""
    dispatcher.is_open.clear()
    tenant = await landlord.create("acme", compute_provider="target", version=1)
    await harness.target.set_fault(tenant, "create", **faults)
    dispatcher.is_open.set()
    return tenant


async def wait_dispatching(dispatcher: BlockableDispatcher) -> None:
    async def check() -> bool:
        return dispatcher.dispatching > 0

    await wait_for(check)
