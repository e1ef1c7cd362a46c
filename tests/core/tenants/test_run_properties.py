"""The lifecycle compared with a model: jobs crash at any step, or are killed; resources vanish."""

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
"""Engine, location and tenant, which together identify a resource on a target."""


class Crash(GeneratorExit):
    """An error that stands for the death of the worker's process. Core does not catch it."""


@attrs.define
class CrashPoint:
    """Raises a crash at the n-th point of a run, once."""

    left: int | None = None

    def step(self) -> None:
        if self.left == 0:
            self.left = None
            raise Crash
        if self.left is not None:
            self.left -= 1


@attrs.frozen(kw_only=True)
class PersistentMock(MockCompute):
    """A compute engine whose resources survive a crash of the worker."""

    engine_name: str
    target: dict[Name, ComputeSpec]
    crash_point: CrashPoint

    def config_defaults(self) -> Mapping[str, object]:
        return {"location": "main"}

    def location(self, config: Mapping[str, object]) -> str:
        return str(config["location"])

    async def inspect(self, tenant: str, location: str) -> Observation:
        self.crash_point.step()
        if (spec := self.target.get((self.engine_name, location, tenant))) is None:
            return Observation(state=ResourceState.MISSING)
        return Observation(state=ResourceState.HEALTHY, config_hash=spec.config_hash)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        self.crash_point.step()
        self.target[self.engine_name, spec.location, spec.tenant] = spec
        self.crash_point.step()
        return ComputeResult(resource_ids={"id": spec.tenant})

    async def destroy(self, tenant: str, location: str) -> bool:
        self.crash_point.step()
        existed = self.target.pop((self.engine_name, location, tenant), None) is not None
        self.crash_point.step()
        return existed


@attrs.define
class ReplayedSteps(InMemorySteps):
    """Steps that store each result, and crash before or after they store it."""

    crash_point: CrashPoint = attrs.field(factory=CrashPoint, kw_only=True)
    journal: dict[str, bytes] = attrs.field(factory=dict)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        if name not in self.journal:
            value = codec.dumps(await action())
            self.crash_point.step()
            self.journal[name] = value
        self.crash_point.step()
        return codec.loads(self.journal[name], kind)

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        record = await super().acquire(tenant, start)
        self.crash_point.step()
        return record


@attrs.frozen
class DesiredTenant:
    """The engine, the location and the version that Landlord desires for a tenant."""

    engine: str
    location: str
    version: int


desired_tenants = st.builds(
    DesiredTenant,
    engine=st.sampled_from(ENGINES),
    location=st.sampled_from(("main", "other")),
    version=st.integers(1, 3),
)
tenants = st.sampled_from(TENANTS)
crashes = st.lists(st.integers(0, 12), max_size=3)


class TenantLifecycle(RuleBasedStateMachine):
    """Compares the resources on the target with those that a model predicts."""

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.crash_point = CrashPoint()
        self.target: dict[Name, ComputeSpec] = {}
        self.records = {tenant: Record() for tenant in TENANTS}
        self.wanted: dict[str, DesiredTenant | None] = dict.fromkeys(TENANTS)
        self.may_remain: dict[str, set[Name]] = {tenant: set() for tenant in TENANTS}
        self.number = 0

    @rule(
        tenant=tenants,
        desired=desired_tenants,
        operation=st.sampled_from(["provision", "update"]),
        at=crashes,
    )
    def apply_job(self, tenant: str, desired: DesiredTenant, operation: str, at: list[int]) -> None:
        assert self.run_to_end(tenant, operation, desired, at) in (
            "created",
            "updated",
            "unchanged",
        )
        self.wanted[tenant] = desired
        self.may_remain[tenant] = set()

    @rule(tenant=tenants, desired=desired_tenants, at=crashes)
    def delete_tenant(self, tenant: str, desired: DesiredTenant, at: list[int]) -> None:
        assert self.run_to_end(tenant, "delete", desired, at) in ("deleted", "absent")
        self.wanted[tenant] = None
        self.may_remain[tenant] = set()

    @rule(
        tenant=tenants,
        desired=desired_tenants,
        operation=st.sampled_from(["update", "delete"]),
        at=crashes,
    )
    def kill_job(self, tenant: str, desired: DesiredTenant, operation: str, at: list[int]) -> None:
        """Landlord kills a job; the next job repairs what is left."""
        before = self.resource_names(tenant)
        ended = self.run_attempts(
            self.steps(tenant), tenant, operation, desired, [*at, 0], give_up=True
        )
        assert not ended
        new = {(desired.engine, desired.location, tenant)} if operation == "update" else set()
        assert self.resource_names(tenant) <= before | new
        self.may_remain[tenant] |= before | new
        self.wanted[tenant] = None

    @precondition(lambda self: self.target)
    @rule(data=st.data())
    def remove_resource(self, data: st.DataObject) -> None:
        """Somebody removes a resource by hand; the next job recreates it."""
        name = data.draw(st.sampled_from(sorted(self.target)))
        del self.target[name]
        self.wanted[name[2]] = None

    @rule(tenant=tenants)
    def forget_record(self, tenant: str) -> None:
        """The record of a deleted tenant is cleared after some time."""
        if not self.records[tenant].placements:
            self.records[tenant] = Record()

    @invariant()
    def check_resources(self) -> None:
        for tenant in TENANTS:
            desired, names = self.wanted[tenant], self.resource_names(tenant)
            if desired is not None:
                name = (desired.engine, desired.location, tenant)
                assert names == {name}
                assert self.target[name].config["version"] == desired.version
            else:
                assert names <= self.may_remain[tenant]

    @invariant()
    def check_records(self) -> None:
        for tenant in TENANTS:
            known = {
                (placement.engine, placement.location, tenant)
                for placement in self.records[tenant].placements
            }
            assert self.resource_names(tenant) <= known

    def run_to_end(self, tenant: str, operation: str, desired: DesiredTenant, at: list[int]) -> str:
        """Run a job to its end, in as many processes as it needs."""
        before = self.resource_names(tenant)
        steps = self.steps(tenant)
        (outcome,) = self.run_attempts(steps, tenant, operation, desired, at)
        # Only a move has two resources for a while, and never three.
        assert self.resource_names(tenant) <= before | {(desired.engine, desired.location, tenant)}
        assert [transition.execution_id for transition in steps.record.transitions][
            -1
        ] == steps.execution_id
        return outcome

    def run_attempts(
        self,
        steps: ReplayedSteps,
        tenant: str,
        operation: str,
        desired: DesiredTenant,
        at: list[int],
        *,
        give_up: bool = False,
    ) -> list[str]:
        """Return the outcome; None if the job was killed before its end."""
        document = {
            "tenant_uuid": tenant,
            "operation": operation,
            "compute_provider": desired.engine,
            "desired_config": {"location": desired.location, "version": desired.version},
        }
        points: list[int | None] = list(at) if give_up else [*at, None]
        for point in points:
            self.crash_point.left = point
            try:
                # New objects each time, because a process that ended remembers nothing.
                process = build_tenant_jobs(
                    *((name, self.scripted_target(name)) for name in ENGINES)
                )
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
        return ReplayedSteps(
            f"inv_{self.number}", self.records[tenant], crash_point=self.crash_point
        )

    def scripted_target(self, name: str) -> PersistentMock:
        return PersistentMock(engine_name=name, target=self.target, crash_point=self.crash_point)

    def resource_names(self, tenant: str) -> set[Name]:
        return {name for name in self.target if name[2] == tenant}

    def teardown(self) -> None:
        self.runner.close()


TestTenantLifecycle = TenantLifecycle.TestCase
TestTenantLifecycle.settings = settings(stateful_step_count=25)
