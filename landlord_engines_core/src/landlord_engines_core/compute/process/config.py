"""A tenant's configuration: its schema, and the values that are read from it."""

from collections.abc import Mapping

import attrs

__all__ = ["LONGEST_STOP_TIMEOUT", "SCHEMA", "Health", "TenantConfig"]

LONGEST_STOP_TIMEOUT = 60
"""Maximum of a tenant's ``stop_timeout`` in seconds."""

# A NUL ends a string in system calls.
_NO_NUL: Mapping[str, object] = {"type": "string", "not": {"pattern": "\\u0000"}}

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["command"],
    "properties": {
        "command": {
            "type": "array",
            "minItems": 1,
            "items": _NO_NUL,
            "prefixItems": [{"minLength": 1}],
        },
        "env": {
            "type": "object",
            "propertyNames": {"minLength": 1, "not": {"pattern": "[=\\u0000]"}},
            "additionalProperties": _NO_NUL,
        },
        "working_folder": {**_NO_NUL, "pattern": "^/"},
        "port": {"type": "integer", "minimum": 0, "maximum": 65535},
        "health": {
            "type": "object",
            "oneOf": [{"required": ["http"]}, {"required": ["tcp"]}],
            "properties": {
                "http": {"type": "string", "pattern": "^/", "not": {"pattern": "[^!-~]"}},
                "tcp": {"const": True},
                "within": {"type": "number", "exclusiveMinimum": 0, "maximum": 240},
            },
        },
        "stop_timeout": {"type": "number", "minimum": 0, "maximum": LONGEST_STOP_TIMEOUT},
    },
}
"""The JSON Schema of a tenant's effective configuration."""


@attrs.frozen(kw_only=True)
class Health:
    """The health check of a command.

    Attributes:
        http: The path that has to answer with a status from 200 to 399; empty to check only whether
            the port accepts connections.
        within: The start period in seconds. Until it ends, the check may fail.
    """

    http: str = ""
    within: float = 30.0


@attrs.frozen(kw_only=True)
class TenantConfig:
    """A tenant's effective configuration.

    Attributes:
        command: The program and its arguments; the port replaces ``{port}`` in them.
        env: Environment variables; the command inherits none from the worker.
        working_folder: An absolute path, or empty for ``work`` in the tenant's folder.
        port: The port, or zero for a free one.
        health: The health check; without one, a command is healthy after one second.
        stop_timeout: Seconds between SIGTERM and SIGKILL.
    """

    command: tuple[str, ...] = attrs.field(repr=False)
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    working_folder: str = attrs.field(default="", repr=False)
    port: int = 0
    health: Health | None = None
    stop_timeout: float = 10.0
