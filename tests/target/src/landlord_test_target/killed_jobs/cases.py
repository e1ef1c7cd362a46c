"""Cases from a seed: a job's operation, its delayed requests, the time of its kill, the next job."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import cycle, islice, product
from random import Random
from uuid import UUID

import attrs

__all__ = [
    "AFTER",
    "BEFORE",
    "DURING",
    "Case",
    "Delay",
    "Freeze",
    "KilledJob",
    "Moments",
    "NextJob",
    "Timeouts",
    "draw_cases",
    "draw_freezes",
]

BEFORE, DURING, AFTER = "before", "during", "after"
"""A delay before the target gets a request, in the middle of its answer, or before its answer begins."""


class KilledJob(StrEnum):
    """The operation of the job that is killed."""

    PROVISION = "provision"
    UPDATE = "update"
    UNHEALTHY = "update to an unhealthy version"
    """An update to a version that reports itself unhealthy."""
    NEVER_HEALTHY = "update to a version that never answers"
    """An update to a version that never becomes healthy; the worker waits for the whole timeout."""


Moments = Mapping[KilledJob, Sequence[tuple[str, str]]]
"""For each operation, the calls that may be late and the moments of their delay."""


class NextJob(StrEnum):
    """The job that follows the kill: a delete, an update or none."""

    DELETE = "delete"
    YOUNGER = "younger"
    NOTHING = "nothing"


@attrs.frozen(kw_only=True)
class Timeouts:
    """The timeouts of a run, in seconds.

    Attributes:
        step_timeout: The workers' setting. Requests are late by up to twice as long.
    """

    step_timeout: float

    @property
    def request_timeout(self) -> float:
        """Seconds after which a worker cancels a request to the target."""
        return self.step_timeout / 4

    @property
    def longest_delay(self) -> float:
        """Seconds by which a request may be late."""
        return 2 * self.step_timeout

    def longest_wait(self, call: str) -> float:
        """Seconds after which a worker cancels a call; a pull may take the whole step."""
        return self.step_timeout if call == "pull" else self.request_timeout


@attrs.frozen(kw_only=True)
class Delay:
    """One late request.

    Attributes:
        call: The request's kind.
        nth: Its number among the requests of this kind since the job was sent, from 1.
        moment: The moment of the delay: before, during or after.
        seconds: The delay.
    """

    call: str
    nth: int
    moment: str
    seconds: float


@attrs.frozen(kw_only=True)
class Case:
    """The course of one tenant: a job, its kill, and the next job.

    Attributes:
        killed_job: The operation of the killed job.
        next_job: The job that follows.
        delays: The late requests.
        killed_on: The call from which ``killed_after`` counts, once its request was sent; empty
            to count from the dispatch of the job.
        killed_after: Seconds from that moment to the kill.
        pause: Seconds from the kill until the next job is sent.
        worker: The worker that runs the job; the other one runs the job that follows.
        next_version: The version of a younger job.
        has_port: Whether the resource holds a port of the host.
    """

    number: int
    tenant: str
    killed_job: KilledJob
    next_job: NextJob
    delays: tuple[Delay, ...]
    killed_on: str
    killed_after: float
    pause: float
    worker: int
    next_version: int
    has_port: bool

    @property
    def previous_version(self) -> int:
        """The version that served before; 0 for none."""
        return 0 if self.killed_job is KilledJob.PROVISION else 1

    @property
    def version(self) -> int:
        """The version that the job asks for."""
        return 1 if self.killed_job is KilledJob.PROVISION else 2


@attrs.frozen(kw_only=True)
class Freeze:
    """A worker's freeze.

    Attributes:
        worker: The worker's number; it gets jobs until the freeze starts.
        after: Seconds between the first job and the freeze.
        seconds: The freeze's duration.
    """

    worker: int
    after: float
    seconds: float


def draw_freezes(seed: int, count: int, times: Timeouts) -> list[Freeze]:
    """Draw freezes; they begin while most jobs run."""
    random = Random(seed)
    return [
        Freeze(
            worker=random.randint(0, 1),
            after=round(random.uniform(0, times.request_timeout), 2),
            seconds=round(random.uniform(times.request_timeout, times.longest_delay), 2),
        )
        for _ in range(count)
    ]


def draw_cases(seed: int, count: int, times: Timeouts, moments: Moments) -> list[Case]:
    """Draw cases that combine each operation with each next job, and delay each call in turn.

    Args:
        seed: The same seed and count give the same cases.
        count: The number of cases.
        times: The timeouts that determine the delays.
        moments: The calls of the target.
    """
    random = Random(seed)
    kinds = list(product(KilledJob, NextJob))
    random.shuffle(kinds)
    calls = {work: cycle(random.sample(moments[work], len(moments[work]))) for work in KilledJob}
    return [
        _draw_case(
            random,
            number,
            kind,
            times,
            [next(calls[kind[0]]), *_draw_more_calls(random, moments[kind[0]])],
        )
        for number, kind in enumerate(islice(cycle(kinds), count), start=1)
    ]


def _draw_more_calls(random: Random, calls: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return random.sample(calls, random.randint(0, 2))


def _draw_case(
    random: Random,
    number: int,
    kind: tuple[KilledJob, NextJob],
    times: Timeouts,
    late: Sequence[tuple[str, str]],
) -> Case:
    delays = tuple(
        Delay(
            call=call,
            nth=random.choice((1, 1, 2)),
            moment=moment,
            seconds=round(random.uniform(0.1, times.longest_delay), 2),
        )
        for call, moment in late
    )
    # The worker repeats a request that timed out, and then the job continues.
    waits = [min(delay.seconds, times.longest_wait(delay.call)) for delay in delays]
    kill_after_request = random.random() < 0.5
    longest = waits[0] if kill_after_request else sum(waits) + 1
    work, then = kind
    return Case(
        number=number,
        tenant=str(UUID(int=random.getrandbits(128), version=4)),
        killed_job=work,
        next_job=then,
        delays=delays,
        killed_on=delays[0].call if kill_after_request else "",
        killed_after=round(random.uniform(0, longest), 2),
        pause=round(random.choice((0, random.uniform(0, times.request_timeout))), 2),
        worker=random.randint(0, 1),
        next_version=random.choice((1, 2, 3)),
        has_port=random.random() < 0.5,
    )
