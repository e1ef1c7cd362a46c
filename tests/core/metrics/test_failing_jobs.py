from landlord_engines_core.errors import Held, Queued, Transient
from landlord_engines_core.metrics.failing_jobs import FailingJobs


def test_a_held_job_that_is_not_retried_no_longer_counts() -> None:
    held = FailingJobs(Held)

    held.note("killed", Held("no", retry_after=0))
    held.note("waits", Held("no", retry_after=60))

    assert len(held) == 1


def test_a_held_job_that_fails_in_another_way_is_not_held() -> None:
    held = FailingJobs(Held)
    held.note("one", Held("no", retry_after=60))

    held.note("one", Transient("not now"))

    assert len(held) == 0


def test_a_job_between_two_retries_is_counted_until_its_next_attempt() -> None:
    retried = FailingJobs(Transient)

    retried.note("one", Transient("not now"))
    retried.note("another", Transient("not now", retry_after=60))
    retried.note("waits for a slot", Queued("later"))
    retried.note("held", Held("no", retry_after=60))

    assert len(retried) == 2
    retried.note("one", None)
    assert len(retried) == 1


def test_the_number_of_remembered_held_jobs_is_limited() -> None:
    held = FailingJobs(Held, limit=2)

    for number in range(5):
        held.note(str(number), Held("no", retry_after=60))

    assert len(held) == 2


def test_held_jobs_without_news_are_forgotten() -> None:
    held = FailingJobs(Held)
    held.note("waits", Held("no", retry_after=60))

    for number in range(5):
        held.note(str(number), Held("no", retry_after=0))
    held.note("waits", None)
    held.note("last", Held("no", retry_after=0))

    assert held._until == {}
