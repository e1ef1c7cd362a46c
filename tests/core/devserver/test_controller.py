"""Landlord's state machine, with its mistakes."""

import asyncio

import attrs
import pytest

from landlord_engines_core.devserver.controller import Controller, Intervals
from landlord_engines_core.devserver.gojson import config_hash
from landlord_engines_core.devserver.records import TenantRecord, Tenants
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import (
    BACKING_OFF,
    FAILED,
    RUNNING,
    SUCCEEDED,
    ApiUser,
    ScriptedDispatcher,
)
from landlord_test_target.waiting import wait_for


async def create_ready_tenant(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, **config: object
) -> str:
    dispatcher.default_answer = SUCCEEDED
    tenant = await landlord.create("acme", **config)
    await landlord.wait_fields(tenant, status="ready")
    dispatcher.default_answer = RUNNING
    return tenant


async def create_provisioning_tenant(landlord: ApiUser, **config: object) -> str:
    tenant = await landlord.create("acme", **config)
    await landlord.wait_fields(tenant, status="provisioning")
    return tenant


async def test_each_request_for_a_tenant_sends_one_job(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.default_answer = SUCCEEDED
    tenant = await landlord.create("acme", n=1)
    created = await landlord.wait_fields(tenant, status="ready")
    await landlord.update(tenant, n=2)
    updated = await landlord.wait_fields(tenant, status="ready")
    await landlord.archive(tenant)
    archived = await landlord.wait_fields(tenant, status="archived")
    await landlord.delete(tenant)
    await landlord.wait_removed(tenant)

    assert dispatcher.operations() == ["provision", "update", "delete", "delete"]
    assert [document["version"] for document in (created, updated, archived)] == [3, 6, 9]
    assert created["status_message"] == "Workflow execution completed: inv_1"
    assert archived["workflow_execution_id"] == "inv_3"


async def test_a_started_execution_is_shown_as_running(landlord: ApiUser) -> None:
    tenant = await landlord.create("acme")

    shown_tenant = await landlord.wait_fields(tenant, status="provisioning")

    assert shown_tenant["status_message"] == "Workflow execution started: inv_1"
    assert (shown_tenant["workflow_execution_id"], shown_tenant["workflow_sub_state"]) == (
        "inv_1",
        "running",
    )
    assert shown_tenant["workflow_retry_count"] == 0


async def test_a_changed_state_of_an_execution_is_shown(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_provisioning_tenant(landlord)
    dispatcher.answers["inv_1"] = BACKING_OFF

    shown_tenant = await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

    assert shown_tenant["workflow_retry_count"] == 4
    assert shown_tenant["status_message"] == "Workflow execution backing-off: inv_1"
    assert shown_tenant["version"] == 3


async def test_an_execution_that_the_backend_calls_failed_fails_the_tenant(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.default_answer = FAILED
    tenant = await landlord.create("acme")

    shown_tenant = await landlord.wait_fields(tenant, status="failed")

    assert shown_tenant["status_message"] == "Workflow execution failed: inv_1"


async def test_a_dispatch_is_forgotten_where_the_record_changed_while_it_was_sent(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.may_accept.clear()
    tenant = await landlord.create("acme", n=1)
    await dispatcher.wait_dispatched(1)

    changed = await landlord.update(tenant, n=2)
    dispatcher.may_accept.set()
    shown_tenant = await landlord.wait_fields(tenant, status="provisioning")

    assert (changed.status, changed.body["status"]) == (200, "requested")
    assert [body["desired_config"]["n"] for body in dispatcher.sent()] == [1, 2]
    assert dispatcher.operations() == ["provision", "provision"]
    assert shown_tenant["workflow_execution_id"] == "inv_2"
    assert dispatcher.killed == []


async def test_a_change_during_a_healthy_run_is_stored_and_never_dispatched(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_provisioning_tenant(landlord, n=1)

    changed = await landlord.update(tenant, n=2)
    dispatcher.answers["inv_1"] = SUCCEEDED
    shown_tenant = await landlord.wait_fields(tenant, status="ready")

    assert changed.status == 200
    assert shown_tenant["desired_config"] == {"n": 2}
    assert len(dispatcher.bodies) == 1


@pytest.mark.parametrize("sub_state", ["running", "waiting"])
async def test_a_change_does_not_restart_an_execution_that_is_not_backing_off(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, sub_state: str
) -> None:
    tenant = await create_provisioning_tenant(landlord, n=1)
    await landlord.update(tenant, n=2)

    dispatcher.answers["inv_1"] = PolledExecution(state=PolledState(sub_state), retry_count=1)
    await landlord.wait_fields(tenant, workflow_retry_count=1)

    assert dispatcher.killed == []
    assert len(dispatcher.bodies) == 1


async def test_a_change_while_backing_off_kills_waits_for_the_end_and_dispatches_again(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    tenant = await create_provisioning_tenant(landlord, n=1)
    dispatcher.answers["inv_1"] = BACKING_OFF
    await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

    await landlord.update(tenant, n=2)
    shown_tenant = await landlord.wait_fields(tenant, workflow_execution_id="inv_2")

    assert dispatcher.killed == ["inv_1"]
    assert dispatcher.operations() == ["provision", "provision"]
    assert dispatcher.sent()[1]["desired_config"] == {"n": 2}
    assert (shown_tenant["status"], shown_tenant["workflow_retry_count"]) == ("provisioning", 0)
    assert "Configuration updated" in lines.events("info")


async def test_a_killed_execution_is_waited_for_before_the_next_dispatch(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_provisioning_tenant(landlord, n=1)
    dispatcher.answers["inv_1"] = BACKING_OFF
    await landlord.wait_fields(tenant, workflow_sub_state="backing-off")
    dispatcher.after_kill = RUNNING

    await landlord.update(tenant, n=2)

    async def was_killed_and_polled() -> bool:
        return dispatcher.killed == ["inv_1"] and dispatcher.polls["inv_1"] > polls + 3

    polls = dispatcher.polls["inv_1"]
    await wait_for(was_killed_and_polled)
    assert len(dispatcher.bodies) == 1
    dispatcher.answers["inv_1"] = SUCCEEDED
    await landlord.wait_fields(tenant, workflow_execution_id="inv_2")


async def test_the_same_configuration_written_otherwise_restarts_nothing(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_provisioning_tenant(landlord, a=1, b=2)
    dispatcher.answers["inv_1"] = BACKING_OFF
    await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

    await landlord.update(tenant, b=2.0, a=1.0)
    dispatcher.answers["inv_1"] = attrs.evolve(BACKING_OFF, retry_count=5)
    await landlord.wait_fields(tenant, workflow_retry_count=5)

    assert dispatcher.killed == []


async def test_a_delete_kills_the_current_execution_and_goes_through_an_archival(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_provisioning_tenant(landlord, n=1)

    answer = await landlord.delete(tenant)

    assert (answer.status, answer.body["status"]) == (202, "archiving")
    assert answer.body["annotations"] == {"landlord/delete_after_archive": "true"}
    assert dispatcher.killed == ["inv_1"]
    dispatcher.default_answer = SUCCEEDED
    await landlord.wait_removed(tenant)
    assert dispatcher.operations() == ["provision", "delete"]
    assert dispatcher.sent()[1]["metadata"] == {"config_hash": config_hash({"n": 1})}


async def test_a_delete_goes_on_where_the_kill_fails(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    tenant = await create_provisioning_tenant(landlord)
    dispatcher.error = EngineFailed("no such execution")

    answer = await landlord.delete(tenant)

    assert answer.status == 202
    assert "execution not killed" in lines.events("warning")


async def test_a_delete_of_a_tenant_that_is_being_deleted_changes_nothing(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_ready_tenant(landlord, dispatcher)
    await landlord.archive(tenant)
    going = await landlord.wait_fields(tenant, workflow_sub_state="running")

    answer = await landlord.delete(tenant)

    assert (answer.status, answer.body) == (202, going)
    assert dispatcher.killed == []


async def test_a_delete_before_the_first_dispatch_kills_nothing_and_still_sends_a_delete(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.error = EngineFailed("not registered yet")
    tenant = await landlord.create("acme")
    await landlord.wait_fields(tenant, status="failed")
    dispatcher.error = None
    dispatcher.default_answer = SUCCEEDED

    await landlord.delete(tenant)
    await landlord.wait_removed(tenant)

    assert dispatcher.killed == []
    assert dispatcher.operations()[-1] == "delete"


async def test_a_forgotten_execution_leaves_its_tenant_stuck(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    tenant = await create_provisioning_tenant(landlord)
    dispatcher.answers["inv_1"] = None

    async def has_logged_failures() -> bool:
        return lines.events("warning").count("execution not read") >= 10

    await wait_for(has_logged_failures)

    assert (await landlord.get(tenant)).body["status"] == "provisioning"


async def test_a_tenant_does_not_fail_if_the_backend_cannot_be_polled(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    tenant = await create_provisioning_tenant(landlord)
    dispatcher.error = EngineFailed("it is away")

    async def has_logged_failures() -> bool:
        return lines.events("warning").count("execution not read") >= 10

    await wait_for(has_logged_failures)
    dispatcher.error = None
    dispatcher.default_answer = SUCCEEDED

    await landlord.wait_fields(tenant, status="ready")


@pytest.mark.parametrize("trouble", [EngineFailed("not registered"), ValueError("a defect")])
async def test_a_tenant_that_cannot_be_dispatched_five_times_fails(
    landlord: ApiUser, dispatcher: ScriptedDispatcher, trouble: Exception
) -> None:
    dispatcher.error = trouble
    tenant = await landlord.create("acme")

    shown_tenant = await landlord.wait_fields(tenant, status="failed")

    assert shown_tenant["status_message"] == "Reconciliation failed after 5 retries: <nil>"
    assert len(dispatcher.bodies) == 5


async def test_temporary_errors_are_forgotten_after_a_success(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await create_ready_tenant(landlord, dispatcher)
    dispatcher.default_answer = SUCCEEDED

    for number in range(3):
        dispatcher.refusals = 4
        await landlord.update(tenant, n=number)
        await landlord.wait_fields(tenant, status="ready", desired_config={"n": number})

    assert len(dispatcher.bodies) == 1 + 3 * 5


async def test_a_failed_dispatch_is_retried_between_two_rounds(
    dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    tenants = Tenants()
    tenants.add(TenantRecord(id="1", name="acme"))
    dispatcher.refusals = 4
    controller = Controller(
        tenants=tenants,
        dispatcher=dispatcher,
        intervals=Intervals(reconcile=3600, poll=3600, retry=0.01),
        max_retries=5,
        logger=lines,
    )

    running = asyncio.create_task(controller.run())
    await dispatcher.wait_dispatched(5)
    running.cancel()
    await asyncio.wait((running,))

    assert len(lines.events("warning")) == 4


async def test_a_tenant_that_was_removed_while_it_waited_is_passed_over(
    dispatcher: ScriptedDispatcher, lines: RecordingLogger
) -> None:
    controller = Controller(
        tenants=Tenants(),
        dispatcher=dispatcher,
        intervals=Intervals(reconcile=3600, poll=3600, retry=0.01),
        max_retries=5,
        logger=lines,
    )

    await controller._reconcile("removed")

    assert dispatcher.bodies == []
