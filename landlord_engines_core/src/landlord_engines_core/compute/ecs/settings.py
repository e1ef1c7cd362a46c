"""The operator's settings in the section ``compute.ecs``, and the defaults for tenants.

The operator is the person who runs the worker. Tenants can change the defaults only.
"""

from collections.abc import Mapping

import attrs

from landlord_engines_core.compute.ecs.config import read_config
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.settings.types import Duration, Secret, Url

__all__ = ["EcsSettings", "separate_external_id"]


@attrs.frozen(kw_only=True)
class EcsSettings:
    """The operator's settings.

    Attributes:
        endpoint_url: A custom AWS endpoint, for example LocalStack; empty for AWS itself.
        external_ids: The external id of each role to assume, by the role's ARN.
        rollout_timeout: How long one attempt watches a rollout, at most half of worker.step_timeout.
            Then the rollout continues, the attempt fails, and the worker engine retries it.
    """

    endpoint_url: Url | None = None
    external_ids: dict[str, Secret] = attrs.field(factory=dict)
    rollout_timeout: Duration = Duration(60.0)


def separate_external_id(
    settings: EcsSettings, given: Mapping[str, object]
) -> tuple[EcsSettings, dict[str, object]]:
    """Check the defaults for tenants, and move a default role's external id into the settings.

    Raises:
        ComputeRefused: A key has a wrong type, or the defaults name one service for all tenants.
    """
    defaults = dict(given)
    config = read_config(defaults)
    config.check()
    if config.service_name:
        raise ComputeRefused(
            "$.service_name in the defaults would have all tenants share one service",
            hint="set compute.ecs.service_name_prefix instead",
        )
    role = config.assume_role
    if role is None:
        return settings, defaults
    # Merged into a tenant's configuration, the default external id would be sent for whatever role the
    # tenant names (confused deputy). It is kept in the settings instead, for the default role only.
    session_name = {"session_name": role.session_name} if role.session_name else {}
    defaults["assume_role"] = {"role_arn": role.role_arn, **session_name}
    if role.external_id:
        external_ids = {**settings.external_ids, role.role_arn: Secret(role.external_id)}
        settings = attrs.evolve(settings, external_ids=external_ids)
    return settings, defaults
