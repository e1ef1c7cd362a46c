"""The smallest backend: steps that run at once, a record in memory, and a logger that keeps its lines.

Also a compute engine with scripted answers, and `build_tenant_jobs` for the handler of jobs.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute import (
    ComputeEngine,
    ComputeRegistry,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import Superseded
from landlord_engines_core.host.jobs import build_jobs
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_core.tenants import JobLimits, TenantJobs

T = TypeVar("T")


@attrs.define
class RecordingLogger:
    """A logger that keeps its lines for assertions."""

    lines: list[tuple[str, str, Mapping[str, object]]] = attrs.field(factory=list)

    def debug(self, event: str, **values: object) -> None:
        self.lines.append(("debug", event, values))

    def info(self, event: str, **values: object) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: object) -> None:
        self.lines.append(("warning", event, values))

    def error(self, event: str, **values: object) -> None:
        self.lines.append(("error", event, values))

    def events(self, level: str) -> list[str]:
        return [event for line_level, event, _ in self.lines if line_level == level]


@attrs.define
class InMemorySteps:
    """Steps that run once each, with values encoded as JSON as in a journal."""

    execution_id: str = "one"
    record: Record = attrs.field(factory=Record)
    superseded: bool = False
    names: list[str] = attrs.field(factory=list)
    lost: LostAttempts = NONE_LOST

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        self.names.append(name)
        return codec.loads(codec.dumps(await action()), kind)

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        await self.read_record(tenant)
        self.names.append("acquire")
        self.record = self.record.with_start(self.execution_id, start)
        return self.record

    async def complete(self, tenant: str, transition: Transition) -> None:
        _ = tenant
        self.names.append("complete")
        self.record = self.record.with_end(transition)

    async def read_record(self, tenant: str) -> Record:
        if self.superseded:
            raise Superseded(f"another job has the lock of {tenant}")
        return self.record

    async def lost_attempts(self) -> LostAttempts:
        return self.lost


@attrs.frozen
class ScriptedCompute(MockCompute):
    """A mock engine whose answers a test may set."""

    states: list[ResourceState] = attrs.field(factory=list)
    results: list[ComputeResult | Exception] = attrs.field(factory=list)
    schema: Mapping[str, object] = attrs.field(factory=dict)
    keeps_resource: bool = False

    def config_schema(self) -> Mapping[str, object]:
        return self.schema

    async def inspect(self, tenant: str, location: str) -> Observation:
        observed = await super().inspect(tenant, location)
        if self.states:
            return attrs.evolve(observed, state=self.states.pop(0), detail="as scripted")
        return observed

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        result = self.results.pop(0) if self.results else await super().provision(spec)
        if isinstance(result, Exception):
            raise result
        return result

    async def destroy(self, tenant: str, location: str) -> bool:
        return True if self.keeps_resource else await super().destroy(tenant, location)


def build_tenant_jobs(
    *engines: tuple[str, ComputeEngine],
    landlord: LandlordClient | None = None,
    logger: RecordingLogger | None = None,
    force: str | None = None,
    default: str | None = None,
    **limits: float,
) -> TenantJobs:
    """Build the handler of jobs for these compute engines."""
    registry = ComputeRegistry(dict(engines))
    logger = logger if logger is not None else RecordingLogger()
    metrics = Metrics()
    resolver = Resolver(
        registry=registry,
        landlord=landlord,
        force=force,
        default=default,
        ttl=60,
        max_config_bytes=10_000,
        logger=logger,
        metrics=metrics.caches,
    )
    return build_jobs(
        resolver=resolver,
        registry=registry,
        landlord=landlord,
        limits=JobLimits(**{"health_timeout": 0.2, "step_timeout": 5.0, **limits}),  # type: ignore[arg-type]
        provider_type="in-memory",
        logger=logger,
        metrics=metrics,
    )
