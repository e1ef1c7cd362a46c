"""The compute engine ``buggy``: ``target`` with a bug of its settings, for the judge to find.

- lost, wrong, doubled, left over: The engine claims success and did something else.
- stuck: The engine never updates.
- slow: The engine takes longer than the judge allows.
- acts later: The engine creates a deleted resource again, long after the delete.
- unchecked: The engine sends the rest of its requests after its worker's step has ended.
- no order: The worker treats each job as the one that was dispatched last.
"""

import asyncio

import attrs

from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.errors import ComputeUnavailable
from landlord_engines_core.tenants.order import Contender
from landlord_test_target.engine import TargetCompute, TargetSettings

__all__ = ["BuggyCompute", "factory"]

LATE = 6.0
"""Seconds that a slow update takes, more than the judge allows."""

LONG_AFTER = 6.0
"""Seconds until a deleted resource is created again; only the judge's second check sees it."""


@attrs.define
class BuggyCompute(TargetCompute):
    """The engine ``target``, which reports operations as done that it did not do."""

    bug: str = ""
    _claimed: dict[str, Observation] = attrs.field(factory=dict, init=False)
    _created: dict[str, ComputeSpec] = attrs.field(factory=dict, init=False)
    _later: set[asyncio.Task[object]] = attrs.field(factory=set, init=False)

    async def inspect(self, tenant: str, location: str) -> Observation:
        """Return the claimed state of a tenant if there is one, else the real one."""
        return self._claimed.get(tenant) or await TargetCompute.inspect(self, tenant, location)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Create the resource; with a bug not at all, elsewhere or twice."""
        if self.bug == "lost":
            return self._claim(spec)
        if self.bug == "elsewhere":
            await TargetCompute.provision(self, attrs.evolve(spec, location="elsewhere"))
            return self._claim(spec)
        if self.bug == "unchecked":
            chain = asyncio.create_task(self._create_unchecked(spec))
            self._later.add(chain)
            return await asyncio.shield(chain)
        self._created[spec.tenant] = spec
        if self.bug == "doubled":
            await TargetCompute.provision(self, attrs.evolve(spec, location="elsewhere"))
        return await TargetCompute.provision(self, spec)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Update the resource; with a bug not at all, or late."""
        if self.bug in ("wrong", "lost"):
            return self._claim(spec)
        if self.bug == "stuck":
            raise ComputeUnavailable("it is never updated")
        if self.bug == "slow":
            await asyncio.sleep(LATE)
        return await TargetCompute.update(self, spec)

    async def destroy(self, tenant: str, location: str) -> bool:
        """Remove the resource; with a bug not at all, or only for a while."""
        if self.bug == "left over":
            self._claimed[tenant] = Observation(state=ResourceState.MISSING)
            return True
        if self.bug == "acts later" and (spec := self._created.pop(tenant, None)) is not None:
            self._later.add(asyncio.create_task(self._create_again(spec)))
        self._claimed.pop(tenant, None)
        return await TargetCompute.destroy(self, tenant, location)

    async def _create_unchecked(self, spec: ComputeSpec) -> ComputeResult:
        await self.inspect(spec.tenant, spec.location)
        await self._call("POST", "create", self._body(spec))
        return ComputeResult(resource_ids={})

    async def _create_again(self, spec: ComputeSpec) -> None:
        await asyncio.sleep(LONG_AFTER)
        # `send` would ask whether the job is alive, and then create nothing.
        await self._call("POST", "create", self._body(spec))

    def _claim(self, spec: ComputeSpec) -> ComputeResult:
        self._claimed[spec.tenant] = Observation(
            state=ResourceState.HEALTHY, config_hash=spec.config_hash, key_hashes=spec.key_hashes
        )
        return ComputeResult(resource_ids={})


@attrs.frozen(kw_only=True)
class BuggySettings(TargetSettings):
    """The operator's settings.

    Attributes:
        url: The target's URL.
        longest_carry: Seconds that a request may take.
        bug: The bug.
    """

    bug: str = ""


def _create(context: ComputeContext) -> BuggyCompute:
    """Create the engine with the bug that its settings name."""
    settings: BuggySettings = context.settings
    if settings.bug == "no order":
        setattr(Contender, "is_later_than", _is_never_later)  # noqa: B010  # as a bug there would be
    return BuggyCompute("buggy", settings.url, carry=settings.longest_carry, bug=settings.bug)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="buggy", contract=1),
    settings_type=BuggySettings,
    create_engine=_create,
)


def _is_never_later(_: Contender, __: Contender) -> bool:
    return False
