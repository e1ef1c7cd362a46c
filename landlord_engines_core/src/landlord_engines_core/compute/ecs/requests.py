"""What ECS is asked for: pure functions of a configuration and of the service that is there."""

from typing import TYPE_CHECKING, cast

from landlord_engines_core.compute.contract import ComputeSpec
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.digest import digest
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.ecs.service import network, rollout_failed, serves
from landlord_engines_core.compute.ecs.tags import owner_tags

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import (
        CreateServiceRequestTypeDef,
        DeploymentCircuitBreakerTypeDef,
        DeploymentConfigurationTypeDef,
        ServiceTypeDef,
        UpdateServiceRequestTypeDef,
    )

__all__ = ["creation", "difference", "rollback_request"]

_BREAKER: "DeploymentCircuitBreakerTypeDef" = {"enable": True, "rollback": True}
"""With it ECS gives up a rollout that fails, says so, and goes back to what served before."""

_FIRST_COUNT = 1
"""How many tasks a new service has where the configuration leaves it to autoscaling."""


def creation(
    spec: ComputeSpec, config: EcsConfig, location: Location, former: "ServiceTypeDef | None"
) -> "CreateServiceRequestTypeDef":
    """The request for a tenant's service.

    Args:
        spec: What the tenant is to have.
        config: The configuration in it.
        location: Where.
        former: A deleted service of this name that ECS still knows of.
    """
    count = config.desired_count
    tags = owner_tags(spec.tenant, location, config)
    request: CreateServiceRequestTypeDef = {
        "cluster": location.cluster,
        "serviceName": location.service_name(spec.tenant),
        "taskDefinition": config.task_definition_arn,
        "desiredCount": _FIRST_COUNT if count is None else count,
        "deploymentConfiguration": {"deploymentCircuitBreaker": _BREAKER},
        "tags": [{"key": key, "value": tags[key]} for key in sorted(tags)],
        "clientToken": _token(spec, former),
    }
    if config.launch_type:
        request["launchType"] = config.launch_type  # type: ignore[typeddict-item]  # the schema's enum
    if (wanted := network(config)) is not None:
        request["networkConfiguration"] = wanted
    return request


def _token(spec: ComputeSpec, former: "ServiceTypeDef | None") -> str:
    """The same for each attempt, another one once the service was deleted."""
    life = str(former.get("createdAt", "")) if former else ""
    text = f"{spec.tenant}\n{spec.location}\n{spec.config_hash}\n{life}"
    return digest(text)[:32]


def difference(
    config: EcsConfig, service: "ServiceTypeDef"
) -> "UpdateServiceRequestTypeDef | None":
    """The request that brings a service to a configuration; ``None`` if it is there already."""
    request = _addressed_to(service)
    address = len(request)
    # A name without a revision stands for the newest, which only ECS knows.
    name = config.task_definition_arn.rpartition("/")[2]
    if not serves(config, service) or ":" not in name:
        request["taskDefinition"] = config.task_definition_arn
        if (wanted := network(config)) is not None:
            request["networkConfiguration"] = wanted
    if config.desired_count is not None and config.desired_count != service.get("desiredCount"):
        request["desiredCount"] = config.desired_count
    deployment = service.get("deploymentConfiguration", {})
    breaker = deployment.get("deploymentCircuitBreaker", {})
    if not (breaker.get("enable") and breaker.get("rollback")):
        # What is left out of it would go back to ECS's own defaults.
        with_breaker = {**deployment, "deploymentCircuitBreaker": _BREAKER}
        request["deploymentConfiguration"] = cast("DeploymentConfigurationTypeDef", with_breaker)
    if rollout_failed(service) and serves(config, service):
        request["forceNewDeployment"] = True
    return request if len(request) > address else None


def rollback_request(
    request: "UpdateServiceRequestTypeDef | None", before: "ServiceTypeDef"
) -> "UpdateServiceRequestTypeDef | None":
    """The request that undoes another; ``None`` where there was nothing good to go back to."""
    if request is None or rollout_failed(before):
        return None
    back = _addressed_to(before)
    address = len(back)
    if "taskDefinition" in request:
        back["taskDefinition"] = before["taskDefinition"]
    if "networkConfiguration" in request and "networkConfiguration" in before:
        back["networkConfiguration"] = before["networkConfiguration"]
    if "desiredCount" in request:
        back["desiredCount"] = before["desiredCount"]
    return back if len(back) > address else None


def _addressed_to(service: "ServiceTypeDef") -> "UpdateServiceRequestTypeDef":
    return {"cluster": service["clusterArn"], "service": service["serviceName"]}
