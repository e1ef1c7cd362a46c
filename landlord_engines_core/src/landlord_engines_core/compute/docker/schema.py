"""The JSON Schema of a tenant's configuration: Landlord's own, and the keys that only we know."""

from collections.abc import Mapping

__all__ = ["SCHEMA"]

_TEXTS = {"type": "array", "items": {"type": "string"}}
_TEXT_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}

_LANDLORDS: Mapping[str, object] = {
    "image": {"type": "string"},
    "env": _TEXT_MAP,
    "volumes": _TEXTS,
    "network_mode": {"type": "string"},
    "ports": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "container_port": _PORT,
                "host_port": _PORT,
                "protocol": {"enum": ["tcp", "udp"]},
            },
            "required": ["container_port"],
            "additionalProperties": False,
        },
    },
    "restart_policy": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
    "labels": _TEXT_MAP,
}
"""As in Landlord at 98ffef1, internal/compute/providers/docker/docker.go."""

_OURS: Mapping[str, object] = {
    "command": _TEXTS,
    "args": _TEXTS,
    "user": {"type": "string"},
    "read_only": {"type": "boolean"},
    "privileged": {"type": "boolean"},
    "cap_add": _TEXTS,
    "devices": _TEXTS,
    "pull_policy": {"enum": ["missing", "always", "never"]},
    "remove_volumes": {"type": "boolean"},
    "resources": {
        "type": "object",
        "properties": {
            "cpu": {"type": "integer", "minimum": 1, "description": "in thousandths of a CPU"},
            "memory": {"type": "integer", "minimum": 1, "description": "in MiB"},
        },
    },
    "health_check": {
        "type": "object",
        "properties": {
            "type": {"enum": ["http", "tcp"]},
            "port": _PORT,
            # In Python a "$" also stands before a last line feed.
            "http_path": {
                "type": "string",
                "pattern": "^/[!-~]*$",
                "not": {"pattern": "\\n"},
            },
        },
        "required": ["type", "port"],
    },
}

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {**_LANDLORDS, **_OURS},
    "required": ["image"],
    "additionalProperties": True,
}
"""Other keys are accepted, as Landlord accepts them, and never reach the engine."""
