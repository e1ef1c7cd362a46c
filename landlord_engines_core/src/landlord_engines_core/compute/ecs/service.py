"""A service as ECS describes it, what that means, and what it lacks of a configuration."""

import json
from typing import TYPE_CHECKING

from landlord_engines_core.compute.contract import Observation, ResourceState
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.digest import digest
from landlord_engines_core.compute.ecs.tags import APPLIED, ATTEMPT, HASH, key_hashes_in

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import (
        DeploymentTypeDef,
        NetworkConfigurationUnionTypeDef,
        ServiceTypeDef,
    )

__all__ = [
    "applied_digest",
    "attempt",
    "given_up",
    "network",
    "observed",
    "resource_ids",
    "rollout_failed",
    "serves",
    "tags_of",
    "was_rolled_back",
]


def tags_of(service: "ServiceTypeDef") -> dict[str, str]:
    """A service's tags as a dictionary."""
    return {tag.get("key", ""): tag.get("value", "") for tag in service.get("tags", [])}


def resource_ids(service: "ServiceTypeDef") -> dict[str, str]:
    """The names under which Landlord's own worker tells what it made."""
    return {
        "service": service["serviceArn"],
        "cluster": service.get("clusterArn", ""),
        "task_definition": service.get("taskDefinition", ""),
    }


def observed(service: "ServiceTypeDef") -> Observation:
    """What a tenant's own service is like; one that drains is still there, and nothing's hash."""
    if service.get("status") != "ACTIVE":
        return Observation(
            state=ResourceState.STARTING,
            resource_ids=resource_ids(service),
            detail=f"its status is {service.get('status')}: ECS still stops its tasks",
        )
    tags = tags_of(service)
    # What was changed behind this worker's back is not what the hash stands for.
    kept = tags.get(APPLIED) in {
        applied_digest(service, counted=True),
        applied_digest(service, counted=False),
    }
    state, detail = _health(service)
    return Observation(
        state=state,
        config_hash=tags.get(HASH, "") if kept else "",
        key_hashes=key_hashes_in(tags) if kept else {},
        resource_ids=resource_ids(service),
        detail=detail,
    )


def _health(service: "ServiceTypeDef") -> tuple[ResourceState, str]:
    newest = _primary(service)
    if newest.get("rolloutState") == "FAILED":
        return ResourceState.FAILED, newest.get("rolloutStateReason", "its rollout failed")
    running, desired = service.get("runningCount", 0), service.get("desiredCount", 0)
    detail = f"{running} of {desired} tasks run"
    # Deployments that are not ECS's own have no rollout's state.
    done = newest.get("rolloutState", "COMPLETED") == "COMPLETED"
    if done and running == desired:
        return ResourceState.HEALTHY, detail
    return ResourceState.STARTING, detail


def _primary(service: "ServiceTypeDef") -> "DeploymentTypeDef":
    none: DeploymentTypeDef = {}
    newest = (one for one in service.get("deployments", []) if one.get("status") == "PRIMARY")
    return next(newest, none)


def given_up(config: EcsConfig, service: "ServiceTypeDef") -> dict[str, str]:
    """ECS's reasons for which it went back from this task definition, by deployment."""
    return {
        one.get("id", ""): one.get("rolloutStateReason", "its rollout failed")
        for one in service.get("deployments", [])
        if one.get("rolloutState") == "FAILED"
        and one.get("status") != "PRIMARY"
        and _same_definition(config, one.get("taskDefinition", ""))
    }


def attempt(config_hash: str, before: "ServiceTypeDef") -> str:
    """What is written on a service before it is asked to roll out a configuration.

    Args:
        config_hash: The hash of the configuration.
        before: The service as it is until then.
    """
    former = applied_digest(before, counted=False)
    return f"{config_hash}.{former}.{_primary(before).get('id', '')}"


def was_rolled_back(config_hash: str, service: "ServiceTypeDef") -> bool:
    """Whether a rollout of this configuration was begun, and the former state rolled out since.

    That is how it looks when ECS went back while nobody watched: its failed deployment is only
    shown for a while.
    """
    begun = tags_of(service).get(ATTEMPT, "")
    same, _, deployment = attempt(config_hash, service).rpartition(".")
    was, _, former = begun.rpartition(".")
    return was == same and former != deployment


def rollout_failed(service: "ServiceTypeDef") -> bool:
    """Whether the newest rollout failed and nothing took its place."""
    return _health(service)[0] is ResourceState.FAILED


def network(config: EcsConfig) -> "NetworkConfigurationUnionTypeDef | None":
    """The network that a configuration asks for, if any."""
    if not (config.subnets or config.security_groups or config.assign_public_ip is not None):
        return None
    return {
        "awsvpcConfiguration": {
            "subnets": list(config.subnets),
            "securityGroups": list(config.security_groups),
            "assignPublicIp": "ENABLED" if config.assign_public_ip else "DISABLED",
        }
    }


def serves(config: EcsConfig, service: "ServiceTypeDef") -> bool:
    """Whether a service has this task definition and network; both are what a rollout brings."""
    there = service.get("taskDefinition", "")
    return _same_definition(config, there) and _same_network(config, service)


def _same_definition(config: EcsConfig, there: str) -> bool:
    """A name without a revision stands for any of its revisions: ECS resolves it."""
    wanted, name = (arn.rpartition("/")[2] for arn in (config.task_definition_arn, there))
    return wanted in (name, name.partition(":")[0])


def _same_network(config: EcsConfig, service: "ServiceTypeDef") -> bool:
    if network(config) is None:
        return True
    subnets, groups, public = _network_of(service)
    return (
        set(config.subnets) == set(subnets)
        # Without any, ECS uses those of the network itself, and may name them.
        and (not config.security_groups or set(config.security_groups) == set(groups))
        and ("ENABLED" if config.assign_public_ip else "DISABLED") == public
    )


def _network_of(service: "ServiceTypeDef") -> tuple[list[str], list[str], str]:
    there = service.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if there is None:
        return [], [], ""
    return (
        sorted(there.get("subnets", [])),
        sorted(there.get("securityGroups", [])),
        there.get("assignPublicIp", "DISABLED"),
    )


def applied_digest(service: "ServiceTypeDef", *, counted: bool) -> str:
    """Stands for what a service has, so that a later change of it can be noticed.

    Args:
        service: The service as it is described.
        counted: Whether the desired count is part of it; else it is autoscaling's.
    """
    count = service.get("desiredCount") if counted else None
    parts = (
        service.get("taskDefinition"),
        service.get("launchType"),
        _network_of(service),
        count,
    )
    return digest(json.dumps(parts))[:32]
