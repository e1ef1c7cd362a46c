import pytest

from landlord_engines_core.errors import Held, Queued, Transient
from landlord_engines_core.metrics import failing_jobs
from landlord_engines_core.metrics.failing_jobs import FailingJobs


def test_a_held_job_that_is_not_retried_no_longer_counts() -> None:
    held = FailingJobs(Held)

    held.note("killed", "apply", Held("no", retry_after=0))
    held.note("waits", "apply", Held("no", retry_after=60))

    assert len(held) == 1


def test_a_held_job_that_fails_in_another_way_is_not_held() -> None:
    held = FailingJobs(Held)
    held.note("one", "apply", Held("no", retry_after=60))

    held.note("one", "apply", Transient("not now"))

    assert len(held) == 0


def test_a_job_between_two_retries_is_counted_until_its_next_attempt() -> None:
    retried = FailingJobs(Transient)

    retried.note("one", "apply", Transient("not now"))
    retried.note("another", "apply", Transient("not now", retry_after=60))
    retried.note("waits for a slot", "apply", Queued("later"))
    retried.note("held", "apply", Held("no", retry_after=60))

    assert len(retried) == 2
    retried.note("one", "apply", None)
    assert len(retried) == 1


def test_the_number_of_remembered_held_jobs_is_limited() -> None:
    held = FailingJobs(Held, limit=2)

    for number in range(5):
        held.note(str(number), "apply", Held("no", retry_after=60))

    assert len(held) == 2


def test_held_jobs_without_news_are_forgotten() -> None:
    held = FailingJobs(Held)
    held.note("waits", "apply", Held("no", retry_after=60))

    for number in range(5):
        held.note(str(number), "apply", Held("no", retry_after=0))
    held.note("waits", "apply", None)
    held.note("last", "apply", Held("no", retry_after=0))

    assert len(held._failures) == 0


def test_the_age_of_a_held_job_grows_over_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(failing_jobs, "monotonic", lambda: clock[0])
    held = FailingJobs(Held)
    ages = [held.oldest_age()]

    for clock[0] in (100.0, 130.0, 160.0):
        held.note("old", "apply", Held("no", retry_after=30))
    held.note("young", "apply", Held("no", retry_after=30))
    ages.append(held.oldest_age())
    clock[0] = 170.0
    held.note("old", "apply", None)
    ages.append(held.oldest_age())

    assert ages == [0, 60, 10]


def test_a_job_that_was_forgotten_is_held_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(failing_jobs, "monotonic", lambda: clock[0])
    held = FailingJobs(Held)

    for clock[0] in (100.0, 500.0):
        held.note("one", "apply", Held("no", retry_after=30))
    clock[0] = 510.0

    assert held.oldest_age() == 10


def test_a_repeated_earlier_step_does_not_end_a_hold() -> None:
    held = FailingJobs(Held)
    held.note("one", "apply", Held("no", retry_after=60))

    held.note("one", "resolve", None)
    repeated = len(held)
    held.note("one", "apply", None)

    assert (repeated, len(held)) == (1, 0)
