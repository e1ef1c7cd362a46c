import json
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from restate import SdkInternalBaseException
from restate.exceptions import RetryableError

from landlord_engines_core.errors import SetApart, Superseded, Transient
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.jobs import attempts
from landlord_engines_restate.jobs.attempts import Attempt
from landlord_engines_restate.jobs.crash_loops import AttemptLosses
from landlord_engines_restate.jobs.services import run_attempt
from landlord_engines_restate.jobs.steps import RestateSteps, ResyncSteps, SharedObjects
from landlord_engines_restate.journal import Pauses
from landlord_engines_restate.lock.handlers import LockCalls
from landlord_engines_restate.lock.ordering import DispatchOrder
from landlord_engines_restate.lock.reader import LockReader
from landlord_test_target.in_memory import RecordingLogger


async def never(*_: object) -> bytes:
    raise AssertionError


def parts(admin: AdminClient) -> dict[str, Any]:
    return {
        "execution_id": "inv_1",
        "ctx": None,  # A check does not need a context.
        "shared": SharedObjects(
            lock=LockCalls(name="T", acquire=never, complete=never, resync=never),  # type: ignore[arg-type]
            reader=LockReader(admin=admin, lock="T"),
            order=DispatchOrder(admin=admin, is_desired=never),  # type: ignore[arg-type]
            pauses=Pauses(),
            losses=AttemptLosses(admin=admin, logger=RecordingLogger()),
        ),
    }


async def test_a_check_without_an_admin_api_is_a_transient_failure(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data("down", status=503)
    admin = AdminClient(httpserver.url_for("/"))
    steps = RestateSteps(**parts(admin))

    for each in (steps, ResyncSteps(**parts(admin), resynced_id="inv_job")):
        with pytest.raises(Transient, match="cannot be used"):
            await each.read_record("t")

    await admin.aclose()


async def test_a_resync_is_superseded_once_another_job_has_acquired_the_lock(
    httpserver: HTTPServer,
) -> None:
    state = {"holder": {"execution_id": "inv_younger", "since": "t"}, "record": {}}
    row = {"service_key": "t", "value_utf8": json.dumps(state)}
    httpserver.expect_request("/query").respond_with_json({"rows": [row]})
    admin = AdminClient(httpserver.url_for("/"))

    with pytest.raises(Superseded, match="inv_younger acquired the lock"):
        await ResyncSteps(**parts(admin), resynced_id="inv_job").read_record("t")

    await admin.aclose()


async def fail(error: BaseException) -> bytes:
    raise error


async def test_a_job_that_is_set_apart_is_tried_again_after_its_pause() -> None:
    steps = RestateSteps(**parts(AdminClient("http://127.0.0.1:9")))

    with pytest.raises(RetryableError, match="LE408: it waits") as raised:
        await run_attempt(fail(SetApart("it waits", retry_after=30.0)), steps)

    assert raised.value.retry_after == timedelta(seconds=30)
    assert await steps.lost_attempts() == NONE_LOST


async def test_an_attempt_that_was_suspended_or_failed_is_not_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempt = Attempt(entries=2, retries=1)
    monkeypatch.setattr(attempts, "current_attempt", lambda: attempt)
    # Nothing answers at this address, so a query would log a failure.
    steps = RestateSteps(**parts(AdminClient("http://127.0.0.1:9")))

    with pytest.raises(SdkInternalBaseException):
        await run_attempt(fail(SdkInternalBaseException("suspended")), steps)

    attempt = Attempt(entries=2, retries=2)
    assert await steps.lost_attempts() == LostAttempts(is_retry=True)
    assert isinstance(steps.shared.losses.logger, RecordingLogger)
    assert steps.shared.losses.logger.lines == []
