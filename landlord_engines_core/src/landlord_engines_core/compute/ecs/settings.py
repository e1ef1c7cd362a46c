"""The section ``compute.ecs``: the operator's settings, and the defaults for tenants.

The operator is the person who runs the worker. Tenants can change the defaults only.
"""

from collections.abc import Mapping

import attrs

from landlord_engines_core.compute import sections
from landlord_engines_core.compute.ecs.config import SCHEMA, read_config
from landlord_engines_core.compute.unknown_keys import properties_of
from landlord_engines_core.errors import ComputeRefused

__all__ = ["EcsSettings", "read_section"]


@attrs.frozen(kw_only=True)
class EcsSettings:
    """The operator's settings.

    Attributes:
        endpoint_url: A custom AWS endpoint, for example LocalStack; ``None`` for AWS itself.
        external_ids: The external id of each role to assume, by the role's ARN.
        rollout_timeout: Seconds for which one attempt watches a rollout. Then the rollout continues, the
            attempt fails, and the worker engine retries it.
    """

    endpoint_url: str | None = None
    external_ids: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    rollout_timeout: float = 60.0


def read_section(section: Mapping[str, object]) -> tuple[EcsSettings, dict[str, object]]:
    """Read the section ``compute.ecs``.

    Returns:
        The operator's settings, and the rest: the defaults for tenants' configurations.

    Raises:
        ComputeRefused: A key has a wrong type, or the defaults name one service for all tenants.
    """
    settings, defaults = sections.read_section("ecs", section, EcsSettings, properties_of(SCHEMA))
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
        external_ids = {**settings.external_ids, role.role_arn: role.external_id}
        settings = attrs.evolve(settings, external_ids=external_ids)
    return settings, defaults
