"""The compute engine ``buggy``: ``target`` with a bug of its settings, for the judge to find.

bug: lost, wrong, doubled, left over    it says that it did, and did something else
     stuck                              it never updates
     slow                               it takes longer than work may take
     acts later                         it makes again what it removed, long after
     never asks                         it carries a chain of requests to its end, past its worker
     no order                           its worker takes any job for the one dispatched last
"""

import asyncio
from collections.abc import Mapping

import attrs

from landlord_engines_core.compute import (
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.errors import ComputeUnavailable
from landlord_engines_core.tenants.order import Contender
from landlord_test_target.engine import TargetCompute, create_target

__all__ = ["create_buggy"]

LATE = 6.0
"""Seconds, more than work may take."""

LONG_AFTER = 6.0
"""Seconds after which nobody looks any more, where nobody looks a second time."""


@attrs.define
class BuggyCompute(TargetCompute):
    """Tells of each tenant what it claims to have done."""

    bug: str = ""
    _claimed: dict[str, Observation] = attrs.field(factory=dict, init=False)
    _made: dict[str, ComputeSpec] = attrs.field(factory=dict, init=False)
    _later: set[asyncio.Task[object]] = attrs.field(factory=set, init=False)

    async def inspect(self, tenant: str, location: str) -> Observation:
        """What was claimed, where something was."""
        return self._claimed.get(tenant) or await TargetCompute.inspect(self, tenant, location)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Make it, or not, or twice."""
        if self.bug == "lost":
            return self._claim(spec)
        if self.bug == "elsewhere":
            await TargetCompute.provision(self, attrs.evolve(spec, location="elsewhere"))
            return self._claim(spec)
        if self.bug == "never asks":
            chain = asyncio.create_task(self._unasked(spec))
            self._later.add(chain)
            return await asyncio.shield(chain)
        self._made[spec.tenant] = spec
        if self.bug == "doubled":
            await TargetCompute.provision(self, attrs.evolve(spec, location="elsewhere"))
        return await TargetCompute.provision(self, spec)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Change it, or not, or not soon."""
        if self.bug in ("wrong", "lost"):
            return self._claim(spec)
        if self.bug == "stuck":
            raise ComputeUnavailable("it is never updated")
        if self.bug == "slow":
            await asyncio.sleep(LATE)
        return await TargetCompute.update(self, spec)

    async def destroy(self, tenant: str, location: str) -> bool:
        """Remove it, or not."""
        if self.bug == "left over":
            self._claimed[tenant] = Observation(state=ResourceState.MISSING)
            return True
        if self.bug == "acts later" and (spec := self._made.pop(tenant, None)) is not None:
            self._later.add(asyncio.create_task(self._make_again(spec)))
        self._claimed.pop(tenant, None)
        return await TargetCompute.destroy(self, tenant, location)

    async def _unasked(self, spec: ComputeSpec) -> ComputeResult:
        await self.inspect(spec.tenant, spec.location)
        await self._call("POST", "create", self._body(spec))
        return ComputeResult(resource_ids={})

    async def _make_again(self, spec: ComputeSpec) -> None:
        await asyncio.sleep(LONG_AFTER)
        # Past `send`, which would ask first and then make nothing.
        await self._call("POST", "create", self._body(spec))

    def _claim(self, spec: ComputeSpec) -> ComputeResult:
        self._claimed[spec.tenant] = Observation(
            state=ResourceState.HEALTHY, config_hash=spec.config_hash, key_hashes=spec.key_hashes
        )
        return ComputeResult(resource_ids={})


def create_buggy(settings: Mapping[str, object]) -> BuggyCompute:
    """The engine with the bug of its settings."""
    bug, target = str(settings.get("bug", "")), create_target(settings)
    if bug == "no order":
        setattr(Contender, "is_later_than", _is_never_later)  # noqa: B010  # as a bug there would be
    return BuggyCompute("buggy", target.url, carry=target.carry, bug=bug)


def _is_never_later(_: Contender, __: Contender) -> bool:
    return False
