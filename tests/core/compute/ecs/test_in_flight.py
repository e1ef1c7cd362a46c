"""A killed job ends only after its request in flight; moto's server simulates AWS."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest

from landlord_engines_core.compute import ComputeSpec, InFlightRequests, in_flight
from landlord_engines_core.compute.ecs import client as service_client
from landlord_engines_core.compute.ecs.sessions import LONGEST_CALL
from landlord_engines_core.errors import ComputeUnavailable, ExecutionEnded, Superseded
from landlord_test_target import aws
from landlord_test_target.aws import Ecs

CALLS = {
    "create_service": "CreateService",
    "describe_services": "DescribeServices",
    "tag_resource": "TagResource",
    "untag_resource": "UntagResource",
    "update_service": "UpdateService",
    "delete_service": "DeleteService",
}


@attrs.define
class HeldCall:
    """A call that moto's server received and holds until released."""

    arrived: threading.Event = attrs.field(factory=threading.Event)
    release: threading.Event = attrs.field(factory=threading.Event)
    done: int = 0

    def call_when_released(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.arrived.set()
        self.release.wait(30)
        self.done += 1
        return original(*args, **kwargs)


@pytest.fixture
def hold_call(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], HeldCall]]:
    held = HeldCall()

    def hold_call(call: str) -> HeldCall:
        backend = ecs.aws.ecs()
        call_when_released = partial(held.call_when_released, getattr(backend, call))
        monkeypatch.setattr(backend, call, call_when_released, raising=False)
        return held

    yield hold_call
    held.release.set()


async def confirm_job_is_alive() -> None:
    """Confirm that the job is alive, without an error."""


def confirm_that_raises(error: Exception) -> Callable[[], Awaitable[object]]:
    async def confirm_job() -> None:
        raise error

    return confirm_job


async def run_in_step(
    ecs: Ecs,
    work: Awaitable[object],
    confirm_job: Callable[[], Awaitable[object]] = confirm_job_is_alive,
) -> object:
    """Run a coroutine as a step of a job does."""
    requests = InFlightRequests(longest_carry=ecs.engine.longest_carry)
    with requests.attribute_to("one", confirm_job):
        return await work


async def specs(ecs: Ecs, *, exists: bool) -> ComputeSpec:
    """Build a specification for a new service, or one with each kind of change to a present one."""
    config = ecs.aws.config(tags={"a": "1", "b": "2"})
    if not exists:
        return ecs.spec(config)
    await ecs.engine.provision(ecs.spec(config))
    changed = {"task_definition_arn": ecs.aws.task_definition(), "tags": {"b": "3"}}
    return ecs.spec(config | changed)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "describe_services"])
async def test_a_cancelled_step_waits_for_its_call_in_flight_and_sends_no_more(
    ecs: Ecs, hold_call: Callable[[str], HeldCall], call: str
) -> None:
    spec = await specs(ecs, exists=call != "create_service")
    calls = await ecs.record_calls(spec.location)
    held = hold_call(call)
    deletes = call == "delete_service"
    work = ecs.engine.destroy("one", spec.location) if deletes else ecs.engine.update(spec)
    job = asyncio.create_task(run_in_step(ecs, work))
    await asyncio.to_thread(held.arrived.wait, 30)

    job.cancel()
    await asyncio.wait((job,), timeout=0.1)
    waits = not job.done()
    held.release.set()
    await asyncio.wait((job,))

    assert waits
    assert job.cancelled()
    assert held.done == 1
    assert calls[-1] == CALLS[call]


async def test_a_cancelled_step_does_not_wait_for_a_read(
    ecs: Ecs, hold_call: Callable[[str], HeldCall]
) -> None:
    spec = await specs(ecs, exists=True)
    held = hold_call("describe_services")
    job = asyncio.create_task(run_in_step(ecs, ecs.engine.update(spec)))
    await asyncio.to_thread(held.arrived.wait, 30)

    job.cancel()
    await asyncio.wait((job,), timeout=5)

    assert job.cancelled()
    assert held.done == 0


async def test_a_step_cancelled_while_it_watches_a_rollout_leaves_the_rollout_to_ecs(
    ecs: Ecs,
) -> None:
    spec = await specs(ecs, exists=True)
    aws.keep_rollout_in_progress(ecs.aws.service(spec.config))
    calls = await ecs.record_calls(spec.location)
    sent = asyncio.Event()

    def reached(point: str) -> None:
        if point == "update:sent":
            sent.set()

    job = asyncio.create_task(
        run_in_step(ecs, ecs.with_failpoint_action(reached, rollout_timeout=60).engine.update(spec))
    )
    await sent.wait()
    job.cancel()
    await asyncio.wait((job,), timeout=5)

    assert job.cancelled()
    assert calls.count("UpdateService") == 1
    service = ecs.aws.service(spec.config)
    assert service.task_definition == spec.config["task_definition_arn"]


@pytest.mark.parametrize("error", [Superseded("a younger job"), ExecutionEnded("it was killed")])
@pytest.mark.parametrize("act", ["create", "update", "delete"])
async def test_a_process_that_was_frozen_changes_nothing_for_an_ended_job(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch, act: str, error: Exception
) -> None:
    spec = await specs(ecs, exists=act != "create")
    calls = await ecs.record_calls(spec.location)
    monkeypatch.setattr(in_flight, "FRESH", -1.0)
    engine = ecs.engine
    work = engine.destroy("one", spec.location) if act == "delete" else engine.update(spec)

    with pytest.raises(type(error)):
        await run_in_step(ecs, work, confirm_that_raises(error))

    assert set(calls) == {"DescribeServices"}


async def test_a_frozen_job_that_still_has_the_lock_continues(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = await specs(ecs, exists=True)
    monkeypatch.setattr(in_flight, "FRESH", -1.0)

    await run_in_step(ecs, ecs.engine.update(spec))

    service = ecs.aws.service(spec.config)
    assert service.task_definition == spec.config["task_definition_arn"]


async def test_a_call_without_an_answer_has_a_bound(
    ecs: Ecs, hold_call: Callable[[str], HeldCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_client, "LONGEST_CALL", 0.05)
    spec = await specs(ecs, exists=False)
    hold_call("create_service")

    with pytest.raises(ComputeUnavailable, match="TimeoutError"):
        await run_in_step(ecs, ecs.engine.update(spec))

    assert ecs.engine.longest_carry == LONGEST_CALL
