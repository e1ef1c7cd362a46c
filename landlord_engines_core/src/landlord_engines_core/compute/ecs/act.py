"""Bringing one service to a configuration: create it, or change what differs and see it through."""

from typing import TYPE_CHECKING

import attrs
import backoff

from landlord_engines_core.compute.contract import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.ecs.requests import creation, difference, rollback_request
from landlord_engines_core.compute.ecs.service import (
    applied_digest,
    attempt,
    given_up,
    observed,
    resource_ids,
    rollout_failed,
    serves,
    tags_of,
    was_rolled_back,
)
from landlord_engines_core.compute.ecs.tags import ATTEMPT, applied_tags, belongs_to, stale
from landlord_engines_core.compute.ecs.target import Target, gone
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import ServiceTypeDef, UpdateServiceRequestTypeDef

__all__ = ["ServiceUpdate"]

_WENT_BACK = "ECS serves what was there before"


@attrs.frozen(kw_only=True)
class ServiceUpdate:
    """One attempt to give a tenant what its specification says; it may be made again.

    The hash of the configuration is the last thing that is written, so that an attempt which was
    interrupted anywhere is seen as not done.

    Attributes:
        rollout_timeout: Seconds in which a rollout is watched before the attempt ends undecided.
        reached: Told each point at which the target was changed.
    """

    target: Target
    spec: ComputeSpec
    config: EcsConfig
    location: Location
    rollout_timeout: float
    reached: Failpoint

    async def run(self) -> ComputeResult:
        """Create the service, or change the one that is there."""
        service = await self.target.describe()
        if service is None or gone(service):
            return await self._create(service)
        self._check(service)
        return await self._change(service)

    def _check(self, service: "ServiceTypeDef") -> None:
        if service.get("status") != "ACTIVE":
            raise ComputeUnavailable("the tenant's former service still stops its tasks")
        if not belongs_to(self.spec.tenant, tags_of(service)):
            raise ComputeRefused(
                "a service of this name is there already and is not marked as this tenant's",
                hint="choose another service_name or service_name_prefix, or give the service the"
                " tag landlord.tenant_id with this tenant's id",
            )
        wanted = self.config.launch_type
        if wanted and wanted != service.get("launchType"):
            raise ComputeRefused(
                "ECS cannot change the launch_type of a service",
                hint="change service_name or service_name_prefix with it: the tenant then gets a"
                " new service, and the former one is deleted once that is steady",
            )

    async def _create(self, former: "ServiceTypeDef | None") -> ComputeResult:
        request = creation(self.spec, self.config, self.location, former)
        try:
            service = await self.target.create(request)
        except ComputeRefused:
            # The name may be taken: by an attempt whose answer was lost, or by another worker.
            if gone(await self.target.describe()):
                raise
            raise ComputeUnavailable("the service was made by another attempt meanwhile") from None
        self.reached("create:sent")
        await self._tag(service)
        return ComputeResult(resource_ids=resource_ids(service))

    async def _change(self, before: "ServiceTypeDef") -> ComputeResult:
        if was_rolled_back(self.spec.config_hash, before):
            why = next(iter(given_up(self.config, before).values()), _WENT_BACK)
            return await self._gone_back(before, why)
        request = difference(self.config, before)
        back = rollback_request(request, before)
        if request is not None:
            if "taskDefinition" in request and back is not None:
                await self._begin(request, before)
            else:
                await self.target.update(request)
            self.reached("update:sent")
        after = await self._rolled_out(before, can_go_back=back is not None)
        why = self._newly_given_up(after, before)
        if why or not serves(self.config, after):
            return await self._gone_back(after, why or _WENT_BACK)
        if rollout_failed(after) and back is not None:
            await self.target.update(back)
            self.reached("update:rolled-back")
            return await self._gone_back(after, observed(after).detail)
        _require_steady(after)
        self.reached("update:steady")
        await self._tag(after)
        return ComputeResult(resource_ids=resource_ids(after))

    async def _begin(
        self, request: "UpdateServiceRequestTypeDef", before: "ServiceTypeDef"
    ) -> None:
        """Ask for a rollout; that is written down first, for an attempt that comes after its end."""
        begun = {ATTEMPT: attempt(self.spec.config_hash, before)}
        await self.target.tag(before["serviceArn"], begun)
        self.reached("update:noted")
        try:
            await self.target.update(request)
        except ComputeRefused:
            await self._forget(before)
            raise

    async def _gone_back(self, service: "ServiceTypeDef", why: str) -> ComputeResult:
        """Tell of a way back that is at its end; whoever wants the same later is to try it again."""
        await self._forget(service)
        return ComputeResult(resource_ids=resource_ids(service), rolled_back=why)

    async def _forget(self, service: "ServiceTypeDef") -> None:
        await self.target.untag(service["serviceArn"], [ATTEMPT])

    async def _rolled_out(self, before: "ServiceTypeDef", *, can_go_back: bool) -> "ServiceTypeDef":
        """Look again until the rollout is decided, or the time for it is over."""

        def undecided(service: "ServiceTypeDef | None") -> bool:
            if service is None or service.get("status") != "ACTIVE":
                return False
            if self._newly_given_up(service, before):
                return False
            state = observed(service).state
            if state is ResourceState.FAILED and serves(self.config, service):
                # Where this attempt knows no way back, ECS may.
                return not can_go_back
            # Until it serves what was asked for, ECS may show what was there before the request.
            return state is ResourceState.STARTING or not serves(self.config, service)

        look = backoff.on_predicate(
            backoff.expo,
            undecided,
            factor=0.25,
            max_value=5.0,
            max_time=self.rollout_timeout,
            jitter=None,
            logger=None,
        )(self.target.describe)
        service: ServiceTypeDef | None = await look()
        if service is None or service.get("status") != "ACTIVE":
            raise ComputeUnavailable("the service went away while it was changed")
        return service

    def _newly_given_up(self, service: "ServiceTypeDef", before: "ServiceTypeDef") -> str:
        """ECS's reason for which it went back from what was asked for; empty if it did not."""
        old = given_up(self.config, before)
        new = given_up(self.config, service)
        return next((why for id_, why in new.items() if id_ not in old), "")

    async def _tag(self, service: "ServiceTypeDef") -> None:
        """Write down what was applied, its hash last."""
        counted = self.config.desired_count is not None
        applied = applied_digest(service, counted=counted)
        wanted = applied_tags(self.spec, self.location, self.config, applied)
        present = tags_of(service)
        if old := stale(present, wanted):
            await self.target.untag(service["serviceArn"], old)
            self.reached("tags:removed")
        new = {key: value for key, value in wanted.items() if present.get(key) != value}
        if new:
            await self.target.tag(service["serviceArn"], new)
            self.reached("tags:written")


def _require_steady(service: "ServiceTypeDef") -> None:
    seen = observed(service)
    if seen.state is ResourceState.FAILED:
        raise ComputeRefused(
            f"the rollout failed, and there is no former one to go back to: {seen.detail}",
            hint="correct the task definition, or what it needs",
        )
    if seen.state is ResourceState.STARTING:
        raise ComputeUnavailable(f"the rollout goes on: {seen.detail}")
