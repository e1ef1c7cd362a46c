"""The whole lifecycle against a model: jobs that crash anywhere, are killed, or find things gone."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import attrs
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from landlord_engines_core import codec
from landlord_engines_core.compute import ComputeResult, ComputeSpec, Observation, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.models import JobStart, Record
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs

T = TypeVar("T")

TENANTS = ("t-1", "t-10")
ENGINES = ("left", "right")

Name = tuple[str, str, str]
"""Engine, location and tenant: what a target holds unique."""


class Crash(GeneratorExit):
    """The worker's process ends here. The door to compute engines lets this kind of error pass."""


@attrs.define
class Fuse:
    """Crashes at the n-th point that is passed, once."""

    left: int | None = None

    def burn(self) -> None:
        if self.left == 0:
            self.left = None
            raise Crash
        if self.left is not None:
            self.left -= 1


@attrs.frozen(kw_only=True)
class Shelf(MockCompute):
    """Keeps its resources where a crash of the worker does not reach them."""

    called: str
    target: dict[Name, ComputeSpec]
    fuse: Fuse

    def config_defaults(self) -> Mapping[str, object]:
        return {"location": "main"}

    def location(self, config: Mapping[str, object]) -> str:
        return str(config["location"])

    async def inspect(self, tenant: str, location: str) -> Observation:
        self.fuse.burn()
        if (spec := self.target.get((self.called, location, tenant))) is None:
            return Observation(state=ResourceState.MISSING)
        return Observation(state=ResourceState.HEALTHY, config_hash=spec.config_hash)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        self.fuse.burn()
        self.target[self.called, spec.location, spec.tenant] = spec
        self.fuse.burn()
        return ComputeResult(resource_ids={"id": spec.tenant})

    async def destroy(self, tenant: str, location: str) -> bool:
        self.fuse.burn()
        existed = self.target.pop((self.called, location, tenant), None) is not None
        self.fuse.burn()
        return existed


@attrs.define
class ReplayedSteps(InMemorySteps):
    """Remembers what a step returned once it was written down, and crashes before or after."""

    fuse: Fuse = attrs.field(factory=Fuse, kw_only=True)
    journal: dict[str, bytes] = attrs.field(factory=dict)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        if name not in self.journal:
            value = codec.dumps(await action())
            self.fuse.burn()
            self.journal[name] = value
        self.fuse.burn()
        return codec.loads(self.journal[name], kind)

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        record = await super().acquire(tenant, start)
        self.fuse.burn()
        return record


@attrs.frozen
class Wish:
    """Where a tenant is to be, and in which version."""

    engine: str
    location: str
    version: int


wishes = st.builds(
    Wish,
    engine=st.sampled_from(ENGINES),
    location=st.sampled_from(("main", "other")),
    version=st.integers(1, 3),
)
tenants = st.sampled_from(TENANTS)
crashes = st.lists(st.integers(0, 12), max_size=3)


class TenantLifecycle(RuleBasedStateMachine):
    """What is on the target, beside what a model says has to be there."""

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.fuse = Fuse()
        self.target: dict[Name, ComputeSpec] = {}
        self.records = {tenant: Record() for tenant in TENANTS}
        self.wanted: dict[str, Wish | None] = dict.fromkeys(TENANTS)
        self.left_behind: dict[str, set[Name]] = {tenant: set() for tenant in TENANTS}
        self.number = 0

    @rule(
        tenant=tenants, wish=wishes, operation=st.sampled_from(["provision", "update"]), at=crashes
    )
    def is_placed(self, tenant: str, wish: Wish, operation: str, at: list[int]) -> None:
        assert self.done(tenant, operation, wish, at) in ("created", "updated", "unchanged")
        self.wanted[tenant] = wish
        self.left_behind[tenant] = set()

    @rule(tenant=tenants, wish=wishes, at=crashes)
    def is_deleted(self, tenant: str, wish: Wish, at: list[int]) -> None:
        assert self.done(tenant, "delete", wish, at) in ("deleted", "absent")
        self.wanted[tenant] = None
        self.left_behind[tenant] = set()

    @rule(tenant=tenants, wish=wishes, operation=st.sampled_from(["update", "delete"]), at=crashes)
    def is_killed_on_the_way(self, tenant: str, wish: Wish, operation: str, at: list[int]) -> None:
        """Landlord gives a job up; what it left is the next job's to repair."""
        before = self.names(tenant)
        ended = self.attempts(self.steps(tenant), tenant, operation, wish, [*at, 0], give_up=True)
        assert not ended
        new = {(wish.engine, wish.location, tenant)} if operation == "update" else set()
        assert self.names(tenant) <= before | new
        self.left_behind[tenant] |= before | new
        self.wanted[tenant] = None

    @precondition(lambda self: self.target)
    @rule(data=st.data())
    def vanishes(self, data: st.DataObject) -> None:
        """Somebody removes a resource by hand; the next job must not mind."""
        name = data.draw(st.sampled_from(sorted(self.target)))
        del self.target[name]
        self.wanted[name[2]] = None

    @rule(tenant=tenants)
    def is_forgotten(self, tenant: str) -> None:
        """The record of a deleted tenant goes after a while."""
        if not self.records[tenant].placements:
            self.records[tenant] = Record()

    @invariant()
    def each_tenant_is_where_the_model_says(self) -> None:
        for tenant in TENANTS:
            wish, names = self.wanted[tenant], self.names(tenant)
            if wish is not None:
                name = (wish.engine, wish.location, tenant)
                assert names == {name}
                assert self.target[name].config["version"] == wish.version
            else:
                assert names <= self.left_behind[tenant]

    @invariant()
    def what_is_there_is_in_the_record(self) -> None:
        for tenant in TENANTS:
            known = {(one.engine, one.location, tenant) for one in self.records[tenant].placements}
            assert self.names(tenant) <= known

    def done(self, tenant: str, operation: str, wish: Wish, at: list[int]) -> str:
        """Run a job to its end, in as many processes as it takes."""
        before = self.names(tenant)
        steps = self.steps(tenant)
        (outcome,) = self.attempts(steps, tenant, operation, wish, at)
        # Only a move has two for a while, and never a third.
        assert self.names(tenant) <= before | {(wish.engine, wish.location, tenant)}
        assert [one.execution_id for one in steps.record.transitions][-1] == steps.execution_id
        return outcome

    def attempts(
        self,
        steps: ReplayedSteps,
        tenant: str,
        operation: str,
        wish: Wish,
        at: list[int],
        *,
        give_up: bool = False,
    ) -> list[str]:
        """The outcome, or nothing where the job was given up before it had one."""
        document = {
            "tenant_uuid": tenant,
            "operation": operation,
            "compute_provider": wish.engine,
            "desired_config": {"location": wish.location, "version": wish.version},
        }
        points: list[int | None] = list(at) if give_up else [*at, None]
        for point in points:
            self.fuse.left = point
            try:
                # Anew each time: a process that ended remembers nothing.
                process = build_tenant_jobs(*((name, self.shelf(name)) for name in ENGINES))
                answer = self.runner.run(process.run(json.dumps(document).encode(), steps))
            except Crash:
                continue
            finally:
                self.records[tenant] = steps.record
            if give_up:
                continue
            return [answer.output.status]
        return []

    def steps(self, tenant: str) -> ReplayedSteps:
        self.number += 1
        return ReplayedSteps(f"inv_{self.number}", self.records[tenant], fuse=self.fuse)

    def shelf(self, name: str) -> Shelf:
        return Shelf(called=name, target=self.target, fuse=self.fuse)

    def names(self, tenant: str) -> set[Name]:
        return {name for name in self.target if name[2] == tenant}

    def teardown(self) -> None:
        self.runner.close()


TestTenantLifecycle = TenantLifecycle.TestCase
TestTenantLifecycle.settings = settings(stateful_step_count=25)
