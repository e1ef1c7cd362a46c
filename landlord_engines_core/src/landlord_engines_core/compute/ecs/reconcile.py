"""Reconciliation of a tenant's service with its specification."""

from typing import TYPE_CHECKING

import attrs

from landlord_engines_core.compute.contract import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.ecs.client import ServiceClient, is_absent
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.ecs.observe import (
    attempt_marker,
    failed_rollouts,
    has_failed,
    is_rolled_out,
    observe_service,
    resource_ids,
    state_digest,
    tags_of,
    was_rolled_back,
)
from landlord_engines_core.compute.ecs.requests import (
    create_request,
    rollback_request,
    update_request,
)
from landlord_engines_core.compute.ecs.tags import (
    ATTEMPT_MARKER,
    applied_tags,
    belongs_to,
    outdated_keys,
)
from landlord_engines_core.compute.in_flight import Failpoint
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_engines_core.retries import poll

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import ServiceTypeDef, UpdateServiceRequestTypeDef

__all__ = ["Reconciliation"]

_ROLLED_BACK = "ECS rolled back to the previous state"


@attrs.frozen(kw_only=True)
class Reconciliation:
    """One attempt to bring a tenant's service to its specification; it can be repeated.

    The configuration's hash is written last, so an interrupted attempt counts as not done.

    Attributes:
        client: The client of the tenant's service.
        spec: The tenant's specification.
        config: The configuration in it, as read.
        location: The tenant's location.
        rollout_timeout: Seconds after which an undecided rollout ends the attempt.
        reached: Called with the name of each failpoint.
    """

    client: ServiceClient
    spec: ComputeSpec
    config: EcsConfig
    location: Location
    rollout_timeout: float
    reached: Failpoint

    async def run(self) -> ComputeResult:
        """Create the service, or update the existing one."""
        service = await self.client.describe()
        if service is None or is_absent(service):
            return await self._create(service)
        self._check(service)
        return await self._update(service)

    def _check(self, service: "ServiceTypeDef") -> None:
        if service.get("status") != "ACTIVE":
            raise ComputeUnavailable("the tenant's previous service is still stopping its tasks")
        if not belongs_to(self.spec.tenant, tags_of(service)):
            raise ComputeRefused(
                "a service of this name exists and does not belong to this tenant",
                hint="choose another service_name or service_name_prefix, or give the service the"
                " tag landlord.tenant_id with this tenant's id",
            )
        launch_type = self.config.launch_type
        if launch_type and launch_type != service.get("launchType"):
            raise ComputeRefused(
                "ECS cannot change the launch_type of a service",
                hint="change service_name or service_name_prefix with it: the tenant then gets a"
                " new service, and the previous one is deleted once the new one is steady",
            )

    async def _create(self, deleted: "ServiceTypeDef | None") -> ComputeResult:
        request = create_request(self.spec, self.config, self.location, deleted)
        try:
            service = await self.client.create(request)
        except ComputeRefused:
            # An attempt whose answer was lost, or another worker, may have created the service.
            if is_absent(await self.client.describe()):
                raise
            raise ComputeUnavailable("another attempt created the service meanwhile") from None
        self.reached("create:sent")
        await self._write_tags(service)
        return ComputeResult(resource_ids=resource_ids(service))

    async def _update(self, before: "ServiceTypeDef") -> ComputeResult:
        if was_rolled_back(self.spec.config_hash, before):
            reason = next(iter(failed_rollouts(self.config, before).values()), _ROLLED_BACK)
            return await self._report_rollback(before, reason)
        request = update_request(self.config, before)
        rollback = rollback_request(request, before)
        if request is not None:
            if "taskDefinition" in request and rollback is not None:
                await self._send_rollout(request, before)
            else:
                await self.client.update(request)
            self.reached("update:sent")
        after = await self._wait_decided(before, can_roll_back=rollback is not None)
        reason = self._new_failure(after, before)
        if reason or not is_rolled_out(self.config, after):
            return await self._report_rollback(after, reason or _ROLLED_BACK)
        if has_failed(after) and rollback is not None:
            await self.client.update(rollback)
            self.reached("update:rolled-back")
            return await self._report_rollback(after, observe_service(after).detail)
        _require_steady(after)
        self.reached("update:steady")
        await self._write_tags(after)
        return ComputeResult(resource_ids=resource_ids(after))

    async def _send_rollout(
        self, request: "UpdateServiceRequestTypeDef", before: "ServiceTypeDef"
    ) -> None:
        """Tag the service with this attempt, then request the rollout.

        ECS reports a rolled-back rollout only for a while. By the tag a later attempt recognizes the rollback.
        """
        mark = {ATTEMPT_MARKER: attempt_marker(self.spec.config_hash, before)}
        await self.client.tag(before["serviceArn"], mark)
        self.reached("update:noted")
        try:
            await self.client.update(request)
        except ComputeRefused:
            await self._remove_mark(before)
            raise

    async def _report_rollback(self, service: "ServiceTypeDef", reason: str) -> ComputeResult:
        # The rollback is complete. Without the mark, a later job with this configuration tries again.
        await self._remove_mark(service)
        return ComputeResult(resource_ids=resource_ids(service), rolled_back=reason)

    async def _remove_mark(self, service: "ServiceTypeDef") -> None:
        await self.client.untag(service["serviceArn"], [ATTEMPT_MARKER])

    async def _wait_decided(
        self, before: "ServiceTypeDef", *, can_roll_back: bool
    ) -> "ServiceTypeDef":
        """Wait until the rollout is decided or the timeout is over, and return the service."""

        def is_undecided(service: "ServiceTypeDef | None") -> bool:
            if service is None or service.get("status") != "ACTIVE":
                return False
            if self._new_failure(service, before):
                return False
            state = observe_service(service).state
            if state is ResourceState.FAILED and is_rolled_out(self.config, service):
                # If this attempt cannot roll back, ECS may still do so.
                return not can_roll_back
            # ECS may report the state before the request for a moment.
            return state is ResourceState.STARTING or not is_rolled_out(self.config, service)

        service = await poll(
            self.client.describe,
            is_undecided,
            first=0.25,
            longest=5.0,
            within=self.rollout_timeout,
        )
        if service is None or service.get("status") != "ACTIVE":
            raise ComputeUnavailable("the service was deleted while it was updated")
        return service

    def _new_failure(self, service: "ServiceTypeDef", before: "ServiceTypeDef") -> str:
        """Return ECS's reason for rolling back the requested rollout; empty if it did not."""
        old = failed_rollouts(self.config, before)
        new = failed_rollouts(self.config, service)
        return next((reason for id_, reason in new.items() if id_ not in old), "")

    async def _write_tags(self, service: "ServiceTypeDef") -> None:
        # The tag with the hash marks the attempt as done, so outdated tags are removed before it.
        with_desired_count = self.config.desired_count is not None
        digest = state_digest(service, with_desired_count=with_desired_count)
        desired = applied_tags(self.spec, self.location, self.config, digest)
        present = tags_of(service)
        if outdated := outdated_keys(present, desired):
            await self.client.untag(service["serviceArn"], outdated)
            self.reached("tags:removed")
        changed = {key: value for key, value in desired.items() if present.get(key) != value}
        if changed:
            await self.client.tag(service["serviceArn"], changed)
            self.reached("tags:written")


def _require_steady(service: "ServiceTypeDef") -> None:
    observation = observe_service(service)
    if observation.state is ResourceState.FAILED:
        raise ComputeRefused(
            f"the rollout failed, and there is no previous one to return to: {observation.detail}",
            hint="correct the task definition, or what it needs",
        )
    if observation.state is ResourceState.STARTING:
        raise ComputeUnavailable(f"the rollout continues: {observation.detail}")
