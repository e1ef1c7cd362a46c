"""A tenant's configuration, with the names and rules of the ECS provider in Landlord."""

import re
from collections.abc import Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import ComputeRefused

__all__ = ["MAX_TAGS", "SCHEMA", "AssumeRole", "EcsConfig", "read_config"]

MAX_TAGS = 42
"""Maximum number of tags in a configuration: ECS accepts 50, and this engine sets eight."""

_TEXT = {"type": "string"}
_TEXT_LIST = {"type": "array", "items": _TEXT}

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "region": _TEXT,
        "cluster_arn": _TEXT,
        "task_definition_arn": _TEXT,
        "service_name": _TEXT,
        "service_name_prefix": _TEXT,
        "desired_count": {"type": "integer", "minimum": 0},
        "launch_type": {"enum": ["EC2", "FARGATE", "EXTERNAL", "ec2", "fargate", "external"]},
        "subnets": _TEXT_LIST,
        "security_groups": _TEXT_LIST,
        "assign_public_ip": {"type": "boolean"},
        "tags": {"type": "object", "additionalProperties": _TEXT},
        "assume_role": {
            "type": "object",
            "properties": {"role_arn": _TEXT, "external_id": _TEXT, "session_name": _TEXT},
            "required": ["role_arn"],
            "additionalProperties": False,
        },
    },
    "required": ["cluster_arn", "task_definition_arn"],
    "anyOf": [{"required": ["service_name"]}, {"required": ["service_name_prefix"]}],
}
"""The schema of Landlord's ECS provider (commit 98ffef1), with launch types in lower case too."""


@attrs.frozen(kw_only=True)
class AssumeRole:
    """A role to assume for all calls about the tenant."""

    role_arn: str
    external_id: str = attrs.field(default="", repr=False)
    session_name: str = ""


def _upper(text: str) -> str:
    return text.upper()


@attrs.frozen(kw_only=True)
class EcsConfig:
    """A tenant's configuration, without unknown keys."""

    region: str = ""
    cluster_arn: str = ""
    task_definition_arn: str = ""
    service_name: str = ""
    service_name_prefix: str = ""
    desired_count: int | None = None
    launch_type: str = attrs.field(default="", converter=_upper)
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    assign_public_ip: bool | None = None
    tags: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    assume_role: AssumeRole | None = None

    @property
    def resolved_region(self) -> str:
        """The region, or the one in the cluster's ARN or in the task definition's ARN."""
        return self.region or _region_of(self.cluster_arn) or _region_of(self.task_definition_arn)

    def check(self) -> None:
        """Check the values that are set; the schema finds missing ones.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """
        problems = [
            f"$.{key} {rule}"
            for key, rule, is_valid in (
                ("region", "is not a region's name", _fits(_REGION, self.region)),
                ("service_name", _NAME_RULE, _fits(_NAME, self.service_name)),
                ("service_name_prefix", _NAME_RULE, _fits(_NAME, self.service_name_prefix)),
                ("desired_count", "is below 0", (self.desired_count or 0) >= 0),
                ("tags", f"has more than {MAX_TAGS} entries", len(self.tags) <= MAX_TAGS),
            )
            if not is_valid
        ]
        if problems:
            raise ComputeRefused(f"ecs refuses the configuration: {'; '.join(problems)}")


_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NAME_RULE = "may contain letters, digits, - and _ only, 255 at most"
_REGION = re.compile(r"[a-z0-9-]{1,63}")


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    return not text or pattern.fullmatch(text) is not None


def _region_of(arn: str) -> str:
    """Return the region in an ARN, ``arn:partition:service:region:...``; empty for other texts."""
    parts = arn.split(":")
    is_arn = len(parts) > 3 and parts[0] == "arn" and _REGION.fullmatch(parts[3])  # noqa: PLR2004  # see above
    return parts[3] if is_arn else ""


def read_config(config: Mapping[str, object]) -> EcsConfig:
    """Read a configuration, which may be incomplete.

    Raises:
        ComputeRefused: One line that names each key of a wrong type, never its value.
    """
    try:
        return codec.structure(config, EcsConfig)
    except codec.BadDocument as error:
        raise ComputeRefused(f"ecs refuses the configuration: {error}") from error
