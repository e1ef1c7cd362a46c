"""The compute engine ``buggy``: ``target`` with a bug of its settings, for the judge to find.

bug: lost, wrong, doubled, left over    it says that it did, and did something else
     stuck                              it never updates
     slow                               it takes longer than work may take
"""

import asyncio
from collections.abc import Mapping

import attrs

from landlord_engines_core.compute import ComputeResult, ComputeSpec, Observation, ResourceState
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.engine import TargetCompute, create_target

__all__ = ["create_buggy"]

LATE = 6.0
"""Seconds, more than work may take."""


@attrs.define
class BuggyCompute(TargetCompute):
    """Tells of each tenant what it claims to have done."""

    bug: str = ""
    _claimed: dict[str, Observation] = attrs.field(factory=dict, init=False)

    async def inspect(self, tenant: str, place: str) -> Observation:
        """What was claimed, where something was."""
        return self._claimed.get(tenant) or await TargetCompute.inspect(self, tenant, place)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Make it, or not, or twice."""
        if self.bug == "lost":
            return self._claim(spec)
        if self.bug == "elsewhere":
            await TargetCompute.provision(self, attrs.evolve(spec, place="elsewhere"))
            return self._claim(spec)
        if self.bug == "doubled":
            await TargetCompute.provision(self, attrs.evolve(spec, place="elsewhere"))
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

    async def destroy(self, tenant: str, place: str) -> bool:
        """Remove it, or not."""
        if self.bug == "left over":
            self._claimed[tenant] = Observation(state=ResourceState.MISSING)
            return True
        self._claimed.pop(tenant, None)
        return await TargetCompute.destroy(self, tenant, place)

    def _claim(self, spec: ComputeSpec) -> ComputeResult:
        self._claimed[spec.tenant] = Observation(
            state=ResourceState.HEALTHY, config_hash=spec.config_hash, key_hashes=spec.key_hashes
        )
        return ComputeResult(resource_ids={})


def create_buggy(settings: Mapping[str, object]) -> BuggyCompute:
    """The engine with the bug of its settings."""
    return BuggyCompute("buggy", create_target(settings).url, bug=str(settings.get("bug", "")))
