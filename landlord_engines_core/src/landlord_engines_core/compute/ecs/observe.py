"""Observation of a tenant's service, from ECS's description of it."""

import json
from typing import TYPE_CHECKING

from landlord_engines_core.compute.contract import Observation, ResourceState, digest_of
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.tags import (
    APPLIED_STATE,
    ATTEMPT_MARKER,
    HASH,
    key_hashes_in,
)

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import (
        DeploymentTypeDef,
        NetworkConfigurationUnionTypeDef,
        ServiceTypeDef,
    )

__all__ = [
    "attempt_marker",
    "failed_rollouts",
    "has_failed",
    "is_rolled_out",
    "network_of",
    "observe_service",
    "resource_ids",
    "state_digest",
    "tags_of",
    "was_rolled_back",
]


def tags_of(service: "ServiceTypeDef") -> dict[str, str]:
    """Return a service's tags as a dictionary."""
    return {tag.get("key", ""): tag.get("value", "") for tag in service.get("tags", [])}


def resource_ids(service: "ServiceTypeDef") -> dict[str, str]:
    """Return a service's ids, under the names that Landlord's Go worker uses."""
    return {
        "service": service["serviceArn"],
        "cluster": service.get("clusterArn", ""),
        "task_definition": service.get("taskDefinition", ""),
    }


def observe_service(service: "ServiceTypeDef") -> Observation:
    """Return the observation of a tenant's service.

    While ECS stops the tasks of a deleted service, nothing can be decided: its state is `STARTING`, without
    a hash.
    """
    if service.get("status") != "ACTIVE":
        return Observation(
            state=ResourceState.STARTING,
            resource_ids=resource_ids(service),
            detail=f"its status is {service.get('status')}: ECS is still stopping its tasks",
        )
    tags = tags_of(service)
    # After a change from outside, the hash in the tags no longer describes the service. The tag was written
    # with the desired count only if the configuration sets one.
    is_unchanged = tags.get(APPLIED_STATE) in {
        state_digest(service, with_desired_count=True),
        state_digest(service, with_desired_count=False),
    }
    state, detail = _judge_health(service)
    return Observation(
        state=state,
        config_hash=tags.get(HASH, "") if is_unchanged else "",
        key_hashes=key_hashes_in(tags) if is_unchanged else {},
        resource_ids=resource_ids(service),
        detail=detail,
    )


def _judge_health(service: "ServiceTypeDef") -> tuple[ResourceState, str]:
    primary = _primary_deployment(service)
    if primary.get("rolloutState") == "FAILED":
        return ResourceState.FAILED, primary.get("rolloutStateReason", "its rollout failed")
    running, desired = service.get("runningCount", 0), service.get("desiredCount", 0)
    detail = f"{running} of {desired} tasks run"
    # Deployments by an external controller have no rollout state.
    is_complete = primary.get("rolloutState", "COMPLETED") == "COMPLETED"
    if is_complete and running == desired:
        return ResourceState.HEALTHY, detail
    return ResourceState.STARTING, detail


def _primary_deployment(service: "ServiceTypeDef") -> "DeploymentTypeDef":
    empty: DeploymentTypeDef = {}
    deployments = service.get("deployments", [])
    return next(
        (deployment for deployment in deployments if deployment.get("status") == "PRIMARY"), empty
    )


def failed_rollouts(config: EcsConfig, service: "ServiceTypeDef") -> dict[str, str]:
    """Return ECS's reasons for rolling back the configured task definition, by deployment id."""
    return {
        deployment.get("id", ""): deployment.get("rolloutStateReason", "its rollout failed")
        for deployment in service.get("deployments", [])
        if deployment.get("rolloutState") == "FAILED"
        and deployment.get("status") != "PRIMARY"
        and _has_definition(config, deployment.get("taskDefinition", ""))
    }


def attempt_marker(config_hash: str, before: "ServiceTypeDef") -> str:
    """Identify a service's state before a rollout, so that a rollback to it is seen later.

    Args:
        config_hash: The hash of the configuration.
        before: The service before the rollout.
    """
    state = state_digest(before, with_desired_count=False)
    return f"{config_hash}.{state}.{_primary_deployment(before).get('id', '')}"


def was_rolled_back(config_hash: str, service: "ServiceTypeDef") -> bool:
    """Return whether ECS rolled back an earlier attempt to roll out this configuration."""
    # ECS reports a failed deployment only for a while. After that, two facts prove a rollback: the service
    # has the state from before the attempt again, and a newer deployment restored it.
    mark = tags_of(service).get(ATTEMPT_MARKER, "")
    current_hash_and_state, _, current_deployment = attempt_marker(config_hash, service).rpartition(
        "."
    )
    previous_hash_and_state, _, previous_deployment = mark.rpartition(".")
    return (
        previous_hash_and_state == current_hash_and_state
        and previous_deployment != current_deployment
    )


def has_failed(service: "ServiceTypeDef") -> bool:
    """Return whether the newest rollout failed and no newer one replaced it."""
    return _judge_health(service)[0] is ResourceState.FAILED


def network_of(config: EcsConfig) -> "NetworkConfigurationUnionTypeDef | None":
    """Return the network that a configuration asks for, if any."""
    if not (config.subnets or config.security_groups or config.assign_public_ip is not None):
        return None
    return {
        "awsvpcConfiguration": {
            "subnets": list(config.subnets),
            "securityGroups": list(config.security_groups),
            "assignPublicIp": "ENABLED" if config.assign_public_ip else "DISABLED",
        }
    }


def is_rolled_out(config: EcsConfig, service: "ServiceTypeDef") -> bool:
    """Return whether a service has the configured task definition and network."""
    definition = service.get("taskDefinition", "")
    return _has_definition(config, definition) and _has_network(config, service)


def _has_definition(config: EcsConfig, current_arn: str) -> bool:
    # ECS chooses the revision for a name without one, so such a name matches any revision.
    configured, current = (
        arn.rpartition("/")[2] for arn in (config.task_definition_arn, current_arn)
    )
    return configured in (current, current.partition(":")[0])


def _has_network(config: EcsConfig, service: "ServiceTypeDef") -> bool:
    if network_of(config) is None:
        return True
    subnets, groups, public_ip = _current_network(service)
    return (
        set(config.subnets) == set(subnets)
        # Without security groups ECS uses those of the VPC, and may show them.
        and (not config.security_groups or set(config.security_groups) == set(groups))
        and ("ENABLED" if config.assign_public_ip else "DISABLED") == public_ip
    )


def _current_network(service: "ServiceTypeDef") -> tuple[list[str], list[str], str]:
    network = service.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if network is None:
        return [], [], ""
    return (
        sorted(network.get("subnets", [])),
        sorted(network.get("securityGroups", [])),
        network.get("assignPublicIp", "DISABLED"),
    )


def state_digest(service: "ServiceTypeDef", *, with_desired_count: bool) -> str:
    """Return a digest of a service's state, which shows later changes from outside.

    Args:
        service: The service as ECS describes it.
        with_desired_count: Whether the desired count is included. Otherwise autoscaling may change it.
    """
    count = service.get("desiredCount") if with_desired_count else None
    parts = (
        service.get("taskDefinition"),
        service.get("launchType"),
        _current_network(service),
        count,
    )
    return digest_of(json.dumps(parts))[:32]
