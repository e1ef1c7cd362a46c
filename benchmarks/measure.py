"""The measurements, in their order; the sides alternate, so that a busy machine affects all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import median

import attrs

from benchmarks.journals import read_traces
from benchmarks.load import Load, Round, create_keys
from benchmarks.processes import Location, Worker, wait_content

__all__ = ["LONG", "SHORT", "Kind", "Plan", "Side", "make_side", "measure", "measure_starts"]

FEW = 10
"""Tenants of the small measurement of costs, and its jobs under way at once."""


@attrs.frozen(kw_only=True)
class Plan:
    """The size of the benchmark on each side; numbers of jobs are for all rounds together.

    Attributes:
        rounds: The rounds of each kind; the report shows their median.
        starts: The number of starts of each side.
        fill: Jobs that give the few tenants a history of full length.
        few: Jobs for the few tenants before a worker knows others, and again at the end.
        many: Tenants that are created in between, by one job each.
        batches: Rounds that create these tenants; the report compares the first with the last.
        jobs: Jobs for these many tenants after their creation.
        clients: The number of simultaneous jobs.
        alone: Tenants that one client makes, one after the other, and jobs for them by it.
    """

    rounds: int = 5
    starts: int = 5
    fill: int = 500
    few: int = 500
    many: int = 20_000
    batches: int = 20
    jobs: int = 5_000
    clients: int = 32
    alone: int = 500

    @property
    def jobs_before_first_sample(self) -> int:
        """Return the number of jobs before the first sample of the memory."""
        return self.fill + self.few

    @property
    def jobs_before_last_sample(self) -> int:
        """Return the number of jobs before the last sample of the memory."""
        return self.jobs_before_first_sample + self.many + self.jobs + 2 * self.alone + self.few

    def kinds(self) -> Sequence["Kind"]:
        """List all kinds of rounds, in their order."""
        few, many, single = FEW, self.clients, 1
        return (
            Kind("fill", "few", self.fill, self.rounds, few),
            Kind("few", "few", self.few, self.rounds, few),
            Kind("make", "many", self.many, self.batches, many),
            Kind("update", "many", self.jobs, self.rounds, many),
            Kind("make alone", "alone", self.alone, self.rounds, single),
            Kind("update alone", "alone", self.alone, self.rounds, single),
            Kind("few again", "few", self.few, self.rounds, few),
        )


@attrs.frozen
class Kind:
    """Rounds of one kind.

    Attributes:
        name: The name in the report.
        tenants: The tenants of the jobs: the few, the many, or one client's own.
        jobs: In all rounds together.
        rounds: The number of rounds.
        clients: The number of simultaneous jobs.
    """

    name: str
    tenants: str
    jobs: int
    rounds: int
    clients: int


LONG = Plan()
SHORT = Plan(starts=2, fill=500, few=250, many=1_000, batches=5, jobs=1_000, alone=200)


@attrs.define(kw_only=True)
class Side:
    """One of the workers, its tenants, and its measured rounds."""

    name: str
    worker: Worker
    starts: Sequence[float]
    tenants: Mapping[str, Sequence[str]]
    rounds: dict[str, list[Round]] = attrs.field(factory=dict)

    def keys(self, kind: Kind, number: int) -> Sequence[str]:
        """Return the tenants of a round; only the few are in more than one round of a kind."""
        keys = self.tenants[kind.tenants]
        return keys if kind.tenants == "few" else keys[number :: kind.rounds]

    def median_of(self, kind: str, measure: Callable[[Round], float]) -> float:
        """Return the median of a value over the rounds of a kind."""
        return median(measure(measured) for measured in self.rounds[kind])

    def figures(self, plan: Plan) -> Mapping[str, float]:
        """Return all figures of the report, by name."""
        batch, creates = plan.many // plan.batches, self.rounds["make"]
        return {
            "update: jobs per second": self.median_of("update", _jobs_per_second),
            "update: worker CPU, ms": self.median_of("update", _worker_cpu),
            "update: restate-server CPU, ms": self.median_of("update", _server_cpu),
            "update: p50, ms": self.median_of("update", _median_ms),
            "update: p99, ms": self.median_of("update", lambda measured: measured.latency_ms(0.99)),
            "create: jobs per second": self.median_of("make", _jobs_per_second),
            "create: worker CPU, ms": self.median_of("make", _worker_cpu),
            "create: restate-server CPU, ms": self.median_of("make", _server_cpu),
            f"create: worker CPU, first {batch}, ms": _worker_cpu(creates[0]),
            f"create: worker CPU, last {batch} of {plan.many}, ms": _worker_cpu(creates[-1]),
            f"create: restate-server CPU, first {batch}, ms": _server_cpu(creates[0]),
            f"create: restate-server CPU, last {batch} of {plan.many}, ms": _server_cpu(
                creates[-1]
            ),
            "create, one client alone: p50, ms": self.median_of("make alone", _median_ms),
            "update, one client alone: p50, ms": self.median_of("update alone", _median_ms),
            f"update, {FEW} tenants known: worker CPU, ms": self.median_of("few", _worker_cpu),
            f"update, {FEW} of {plan.many + plan.alone + FEW} tenants known: worker CPU, ms": (
                self.median_of("few again", _worker_cpu)
            ),
            "start to registered, s": median(self.starts),
            f"memory after {plan.jobs_before_first_sample} jobs, MiB": self.rounds["few"][
                -1
            ].memory,
            f"memory after {plan.jobs_before_last_sample} jobs, MiB": self.rounds["few again"][
                -1
            ].memory,
        }


def make_side(name: str, worker: Worker, started: Sequence[float], plan: Plan) -> Side:
    """Build the side of a worker, with tenants of its own."""
    counts = {"few": FEW, "many": plan.many, "alone": plan.alone}
    keys_by_group = {group: create_keys(count) for group, count in counts.items()}
    return Side(name=name, worker=worker, starts=started, tenants=keys_by_group)


def _jobs_per_second(measured: Round) -> float:
    return measured.jobs_per_second


def _worker_cpu(measured: Round) -> float:
    return measured.worker_cpu_ms


def _server_cpu(measured: Round) -> float:
    return measured.server_cpu_ms


def _median_ms(measured: Round) -> float:
    return measured.latency_ms(0.5)


async def measure_starts(
    load: Load, start: Callable[[Location], AbstractContextManager[Worker]], count: int
) -> list[float]:
    """Measure the seconds from the start of a process until Restate shows its deployment."""
    seconds: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        with start(load.location) as worker:
            await wait_content(load.http, f"{load.location.admin}/deployments", worker.uri)
            seconds.append(time.perf_counter() - began)
    return seconds


async def measure(load: Load, plan: Plan, sides: Sequence[Side]) -> None:
    """Measure registered workers and add the rounds to their sides.

    The first two have to do the same work for a job. The others may do less.

    Raises:
        AssertionError: The first two did not do the same.
    """
    first_traces, second_traces = [await read_traces(load, side.worker) for side in sides[:2]]
    assert first_traces == second_traces, f"the work differs:\n{first_traces}\n{second_traces}"
    for kind in plan.kinds():
        for number in range(kind.rounds):
            await load.new_config()
            # The order rotates, so that no worker always follows the same other one.
            for side in (*sides[number % len(sides) :], *sides[: number % len(sides)]):
                measured = await load.run_round(
                    side.worker,
                    side.keys(kind, number),
                    jobs=kind.jobs // kind.rounds,
                    clients=kind.clients,
                )
                side.rounds.setdefault(kind.name, []).append(measured)
            first, second = (side.rounds[kind.name][-1].tenant_reads for side in sides[:2])
            assert first == second, (
                f"{kind.name}: {first} reads of tenants, {second} on the other side"
            )
