import json

import pytest

from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import SetApart
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import CompletedJob
from landlord_engines_core.steps import LostAttempts
from landlord_engines_core.tenants import TenantJobs, crash_loops, reading
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_test_target.in_memory import InMemorySteps, RecordingLogger, build_tenant_jobs

BODY = json.dumps(
    {
        "tenant_id": "acme",
        "tenant_uuid": "t",
        "operation": "provision",
        "compute_provider": "mock",
        "desired_config": {"image": "nginx"},
    }
).encode()


@pytest.fixture
def lines() -> RecordingLogger:
    return RecordingLogger()


@pytest.fixture
def loops(lines: RecordingLogger) -> CrashLoops:
    return CrashLoops(logger=lines, metrics=Metrics().jobs)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(crash_loops, "monotonic", lambda: now[0])
    return now


def lost_attempts(count: int, *, is_new: bool = True) -> LostAttempts:
    return LostAttempts(count=count, is_new=is_new)


def set_apart(loops: CrashLoops, count: int, execution_id: str = "one") -> SetApart:
    with (
        pytest.raises(SetApart) as raised,
        loops.attempt(execution_id, lost_attempts(count), lambda: "acme"),
    ):
        pytest.fail("it is put off")
    return raised.value


def test_one_or_two_lost_attempts_cause_a_short_pause_and_set_no_job_apart(
    loops: CrashLoops, lines: RecordingLogger
) -> None:
    assert [set_apart(loops, count).retry_after for count in (1, 2)] == [0.25, 0.25]

    with loops.attempt("one", lost_attempts(2, is_new=False), lambda: "acme"):
        assert len(loops) == 0
    assert lines.lines == []
    assert loops.add_lost_attempts("one", "") == ""


def test_from_the_third_lost_attempt_on_the_pauses_grow_up_to_an_hour(
    loops: CrashLoops, lines: RecordingLogger
) -> None:
    errors = [set_apart(loops, count) for count in (3, 4, 5, 9, 10, 10**6)]

    assert [error.retry_after for error in errors] == [30, 60, 120, 1920, 3600, 3600]
    assert str(errors[0]).startswith(
        "LE408: the worker ended during this job 3 times in a row: it is set apart,"
        " and tried again alone in 30 s; find out why"
    )
    assert lines.lines[0] == (
        "warning",
        "job set apart",
        {"execution_id": "one", "tenant": "acme", "lost_attempts": 3, "pause": 30.0},
    )


def test_only_one_job_that_was_set_apart_runs_at_a_time(
    loops: CrashLoops, lines: RecordingLogger
) -> None:
    with loops.attempt("one", lost_attempts(3, is_new=False), lambda: "acme"):
        with (
            pytest.raises(SetApart, match="waits until one was tried") as busy,
            loops.attempt("two", lost_attempts(3, is_new=False), lambda: "other"),
        ):
            pytest.fail("one at a time")
        assert busy.value.retry_after == 2.0

    with loops.attempt("two", lost_attempts(3, is_new=False), lambda: "other"):
        pass
    assert [values["tenant"] for _, _, values in lines.lines] == ["acme", "other"]


def test_a_slow_job_delays_the_next_one_only_briefly(loops: CrashLoops, clock: list[float]) -> None:
    with loops.attempt("long", lost_attempts(3, is_new=False), lambda: "acme"):
        clock[0] += 5
        second = loops.attempt("second", lost_attempts(3, is_new=False), lambda: "other")
        second.__enter__()
    with (
        pytest.raises(SetApart, match="waits until second was tried"),
        loops.attempt("third", lost_attempts(3, is_new=False), lambda: "third"),
    ):
        pytest.fail("the end of the first one is not that of the second")
    second.__exit__(None, None, None)

    with loops.attempt("third", lost_attempts(3, is_new=False), lambda: "third"):
        pass


def test_the_next_job_that_was_set_apart_runs_although_the_first_one_failed(
    loops: CrashLoops,
) -> None:
    with (
        pytest.raises(OSError, match="broken"),
        loops.attempt("one", lost_attempts(3, is_new=False), lambda: "acme"),
    ):
        raise OSError("broken")

    with loops.attempt("two", lost_attempts(3, is_new=False), lambda: "other"):
        pass


def test_a_job_counts_as_set_apart_until_its_next_attempt_or_long_after_its_pause(
    loops: CrashLoops, clock: list[float]
) -> None:
    set_apart(loops, 3, "tried")
    set_apart(loops, 3, "killed meanwhile")
    assert len(loops) == 2

    with loops.attempt("tried", lost_attempts(3, is_new=False), lambda: ""):
        assert len(loops) == 1
    clock[0] += 61
    assert len(loops) == 0


def test_the_number_of_remembered_jobs_is_limited(lines: RecordingLogger) -> None:
    loops = CrashLoops(logger=lines, metrics=Metrics().jobs, limit=2)

    for name in ("one", "two", "one", "three"):
        set_apart(loops, 3, name)

    assert [bool(loops.add_lost_attempts(name, "")) for name in ("one", "two", "three")] == [
        True,
        False,
        True,
    ]


def test_a_transition_reports_lost_attempts_beside_its_other_details(
    loops: CrashLoops,
) -> None:
    set_apart(loops, 4)

    assert (
        loops.add_lost_attempts("one", "") == "its worker had ended during the job 4 times in a row"
    )
    assert loops.add_lost_attempts("one", "late").startswith("late; its worker had ended")
    assert loops.add_lost_attempts("two", "late") == "late"


def tenants(lines: RecordingLogger) -> TenantJobs:
    return build_tenant_jobs(("mock", MockCompute()), logger=lines)


async def test_a_job_is_delayed_before_any_of_its_work_starts(lines: RecordingLogger) -> None:
    steps, jobs = InMemorySteps(lost=lost_attempts(3)), tenants(lines)

    with pytest.raises(SetApart):
        await jobs.run(BODY, steps)

    assert steps.names == []
    assert lines.lines[0][2]["tenant"] == "t"
    text = jobs.jobs.metrics.families.render()[0].decode()
    assert "landlord_worker_jobs_set_apart 1.0" in text
    assert "landlord_worker_attempts_lost_total 1.0" in text


async def test_a_job_that_succeeds_after_lost_attempts_reports_them_in_its_transition(
    lines: RecordingLogger,
) -> None:
    steps, jobs = InMemorySteps(lost=lost_attempts(3, is_new=False)), tenants(lines)

    await jobs.run(BODY, steps)

    (transition,) = steps.record.transitions
    assert transition.detail == "its worker had ended during the job 3 times in a row"
    assert "landlord_worker_jobs_set_apart 0.0" in jobs.jobs.metrics.families.render()[0].decode()


@pytest.mark.parametrize("longest", [0, 10_000], ids=["too long", "unreadable"])
async def test_the_body_of_a_job_that_may_kill_the_worker_is_not_parsed_for_the_log(
    lines: RecordingLogger, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(reading, "SMALL_BODY", longest)

    with pytest.raises(SetApart):
        await tenants(lines).run(b"{" if longest else BODY, InMemorySteps(lost=lost_attempts(3)))

    assert lines.lines[0][2]["tenant"] == ""


async def test_a_resync_that_loses_its_worker_is_delayed_too(lines: RecordingLogger) -> None:
    ended = CompletedJob(tenant="t", execution_id="one", operation="provision")

    with pytest.raises(SetApart):
        await tenants(lines).resync(ended, InMemorySteps(lost=lost_attempts(3)))

    assert lines.lines[0][2]["tenant"] == "t"
