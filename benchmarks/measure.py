"""The measurements, in their order: both sides take turns, so that a busy machine is fair."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import median

import attrs

from benchmarks.journals import look_at
from benchmarks.load import Load, Round, tenants
from benchmarks.processes import Place, Worker, seen

__all__ = ["LONG", "SHORT", "Plan", "Side", "measure", "starts"]

FEW = 10
"""Tenants of the small measurement of costs, and its jobs under way at once."""


@attrs.frozen(kw_only=True)
class Plan:
    """How much is measured, on each side; jobs are for all rounds together.

    Attributes:
        rounds: Rounds of each kind, of which the median counts.
        starts: How often each side is started.
        fill: Jobs that give the few tenants a history of full length.
        few: Jobs for the few tenants while a worker knows no others, and again in the end.
        many: Tenants that are made in between, by one job each.
        jobs: Jobs for these many tenants once they are made.
        clients: Jobs under way at once.
    """

    rounds: int = 5
    starts: int = 5
    fill: int = 500
    few: int = 500
    many: int = 10_000
    jobs: int = 8_500
    clients: int = 32

    @property
    def before(self) -> int:
        """Jobs until the memory is looked at first."""
        return self.fill + self.few

    @property
    def after(self) -> int:
        """Jobs until it is looked at last."""
        return self.before + self.many + self.jobs + self.few


LONG = Plan()
SHORT = Plan(starts=2, fill=500, few=250, many=1_000, jobs=1_250)


@attrs.define(kw_only=True)
class Side:
    """One of the two workers, its tenants, and what was measured of it."""

    name: str
    worker: Worker
    starts: Sequence[float]
    few_tenants: Sequence[str] = attrs.field(factory=lambda: tenants(FEW))
    many_tenants: Sequence[str]
    rounds: dict[str, list[Round]] = attrs.field(factory=dict)

    def figure(self, kind: str, look: Callable[[Round], float]) -> float:
        """The median of something over the rounds of a kind."""
        return median(look(one) for one in self.rounds[kind])

    def figures(self, plan: Plan) -> Mapping[str, float]:
        """Everything that the report shows, by its name."""
        return {
            "jobs per second": self.figure("update", lambda one: one.rate),
            "worker CPU per job, ms": self.figure("update", lambda one: one.cost),
            "dispatch to completion, p50, ms": self.figure("update", lambda one: one.within(0.5)),
            "dispatch to completion, p99, ms": self.figure("update", lambda one: one.within(0.99)),
            "start to registered, s": median(self.starts),
            f"memory after {plan.before} jobs, MiB": self.rounds["few"][-1].memory,
            f"memory after {plan.after} jobs, MiB": self.rounds["few again"][-1].memory,
            "worker CPU per job that makes a tenant, ms": self.figure("make", lambda one: one.cost),
            f"worker CPU per job, {FEW} tenants known, ms": self.figure(
                "few", lambda one: one.cost
            ),
            f"worker CPU per job, {plan.many + FEW} tenants known, ms": self.figure(
                "few again", lambda one: one.cost
            ),
        }


async def starts(
    load: Load, start: Callable[[Place], AbstractContextManager[Worker]], count: int
) -> list[float]:
    """Seconds from the start of a process until Restate shows its deployment, each time anew."""
    found: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        with start(load.place) as worker:
            await seen(load.http, f"{load.place.admin}/deployments", worker.uri)
            found.append(time.perf_counter() - began)
    return found


async def measure(load: Load, plan: Plan, sides: tuple[Side, Side]) -> None:
    """Measure two workers that are registered, into their sides.

    Raises:
        AssertionError: They did not do the same.
    """
    one, other = [await look_at(load, side.worker) for side in sides]
    assert one == other, f"the work differs:\n{one}\n{other}"
    for kind, jobs in (
        ("fill", plan.fill),
        ("few", plan.few),
        ("make", plan.many),
        ("update", plan.jobs),
        ("few again", plan.few),
    ):
        for number in range(plan.rounds):
            await load.new_config()
            for side in sides:
                keys = side.many_tenants[number :: plan.rounds]
                if kind not in ("make", "update"):
                    keys = side.few_tenants
                side.rounds.setdefault(kind, []).append(
                    await load.round(
                        side.worker,
                        keys,
                        jobs=jobs // plan.rounds,
                        clients=min(plan.clients, len(keys)),
                    )
                )
            first, second = (side.rounds[kind][-1].tenant_reads for side in sides)
            assert first == second, f"{kind}: {first} reads of tenants, {second} on the other side"
