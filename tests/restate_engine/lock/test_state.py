"""Properties of a lock's state; tests/e2e changes states on a real restate-server."""

import json

from landlord_engines_core import codec
from landlord_engines_core.models import JobStart, Placement, Record, Transition
from landlord_engines_restate.lock.ordering import Holder
from landlord_engines_restate.lock.state import LockState

JOB = Holder(execution_id="inv_job", since="t")
START = JobStart(operation="update", started_at="t", placement=Placement("mock"))
ENDED = Record().with_end(
    Transition(execution_id="inv_job", operation="update", started_at="t", ended_at="u")
)


def test_the_state_that_the_first_version_wrote_is_read() -> None:
    raw = json.dumps({"holder": {"execution_id": "inv_job", "since": "t"}, "record": {}}).encode()

    assert codec.loads(raw, LockState) == LockState(holder=JOB)


def test_a_job_without_an_end_is_still_open() -> None:
    running = LockState(holder=JOB, record=Record().with_start("inv_job", START))

    assert not running.has_ended("inv_job")
    assert running.later_job("inv_job") == ""
    assert running.later_job("inv_other") == "inv_job"


def test_after_its_last_job_a_tenant_may_be_resynced_and_after_no_other() -> None:
    over = LockState(holder=JOB, record=ENDED)

    assert over.later_job("inv_job") == ""
    assert over.later_job("inv_other") == "inv_job"


def test_a_tenant_that_is_forgotten_may_be_resynced() -> None:
    assert LockState().later_job("inv_job") == ""
    assert LockState().has_ended("inv_job")


def test_the_end_of_the_running_job_is_awaited_once() -> None:
    resync = Holder(execution_id="inv_resync", since="t", is_resync=True)
    running = LockState(holder=JOB, record=Record().with_start("inv_job", START))
    over = LockState(holder=JOB, record=ENDED, resync=resync)

    assert running.needs_end("inv_job")
    assert not over.needs_end("inv_job")
    assert over.needs_end("inv_resync")
    assert not LockState(holder=JOB, record=ENDED).needs_end("inv_resync")
