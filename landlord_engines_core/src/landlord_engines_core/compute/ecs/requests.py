"""Requests to ECS, as pure functions of a configuration and the current service."""

from typing import TYPE_CHECKING, cast

from landlord_engines_core.compute.contract import ComputeSpec, digest_of
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.ecs.observe import (
    has_failed,
    is_rolled_out,
    network_of,
)
from landlord_engines_core.compute.ecs.tags import owner_tags

if TYPE_CHECKING:
    from types_aiobotocore_ecs.type_defs import (
        CreateServiceRequestTypeDef,
        DeploymentCircuitBreakerTypeDef,
        DeploymentConfigurationTypeDef,
        ServiceTypeDef,
        UpdateServiceRequestTypeDef,
    )

__all__ = ["create_request", "rollback_request", "update_request"]

_BREAKER: "DeploymentCircuitBreakerTypeDef" = {"enable": True, "rollback": True}
"""With these settings ECS stops a failing rollout, reports it and rolls it back."""

_FIRST_COUNT = 1
"""Tasks of a new service whose configuration leaves the count to autoscaling."""


def create_request(
    spec: ComputeSpec, config: EcsConfig, location: Location, deleted: "ServiceTypeDef | None"
) -> "CreateServiceRequestTypeDef":
    """Build the request that creates a tenant's service.

    Args:
        spec: The tenant's specification.
        config: The configuration in it, as read.
        location: The tenant's location.
        deleted: A deleted service of this name that ECS still describes.
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
        "clientToken": _client_token(spec, deleted),
    }
    if config.launch_type:
        request["launchType"] = config.launch_type  # type: ignore[typeddict-item]  # the schema's enum
    if (network := network_of(config)) is not None:
        request["networkConfiguration"] = network
    return request


def _client_token(spec: ComputeSpec, deleted: "ServiceTypeDef | None") -> str:
    # All attempts use the same token. After a deletion it changes, because ECS answers a known token
    # with the deleted service.
    deleted_service = str(deleted.get("createdAt", "")) if deleted else ""
    text = f"{spec.tenant}\n{spec.location}\n{spec.config_hash}\n{deleted_service}"
    return digest_of(text)[:32]


def update_request(
    config: EcsConfig, service: "ServiceTypeDef"
) -> "UpdateServiceRequestTypeDef | None":
    """Build the request that brings a service to a configuration, or ``None`` if nothing differs."""
    request = _empty_request(service)
    base_fields = len(request)
    # A name without a revision means the newest revision, which only ECS knows. It is always sent.
    name = config.task_definition_arn.rpartition("/")[2]
    if not is_rolled_out(config, service) or ":" not in name:
        request["taskDefinition"] = config.task_definition_arn
        if (network := network_of(config)) is not None:
            request["networkConfiguration"] = network
    if config.desired_count is not None and config.desired_count != service.get("desiredCount"):
        request["desiredCount"] = config.desired_count
    deployment = service.get("deploymentConfiguration", {})
    breaker = deployment.get("deploymentCircuitBreaker", {})
    if not (breaker.get("enable") and breaker.get("rollback")):
        # ECS resets fields of a deployment configuration that a request leaves out.
        with_breaker = {**deployment, "deploymentCircuitBreaker": _BREAKER}
        request["deploymentConfiguration"] = cast("DeploymentConfigurationTypeDef", with_breaker)
    if has_failed(service) and is_rolled_out(config, service):
        request["forceNewDeployment"] = True
    return request if len(request) > base_fields else None


def rollback_request(
    request: "UpdateServiceRequestTypeDef | None", before: "ServiceTypeDef"
) -> "UpdateServiceRequestTypeDef | None":
    """Build the request that undoes an update, or ``None`` if there is no healthy state to return to."""
    if request is None or has_failed(before):
        return None
    rollback = _empty_request(before)
    base_fields = len(rollback)
    if "taskDefinition" in request:
        rollback["taskDefinition"] = before["taskDefinition"]
    if "networkConfiguration" in request and "networkConfiguration" in before:
        rollback["networkConfiguration"] = before["networkConfiguration"]
    if "desiredCount" in request:
        rollback["desiredCount"] = before["desiredCount"]
    return rollback if len(rollback) > base_fields else None


def _empty_request(service: "ServiceTypeDef") -> "UpdateServiceRequestTypeDef":
    return {"cluster": service["clusterArn"], "service": service["serviceName"]}
