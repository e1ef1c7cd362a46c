"""What operators and tenants can set."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.unknown_keys import unknown_keys
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.folders import state_folder

__all__ = [
    "LONGEST_STOP_TIMEOUT",
    "SCHEMA",
    "Health",
    "Operator",
    "Ports",
    "TenantConfig",
    "defaults_of",
    "operator_of",
]

LONGEST_STOP_TIMEOUT = 60
"""Seconds that a tenant may have its command end by itself, at most."""

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
    """How it is told that a command serves.

    Attributes:
        http: The path that answers with a status from 200 to 399; empty: a connection is enough.
        within: Seconds from the start until it has to serve.
    """

    http: str = ""
    within: float = 30.0


@attrs.frozen(kw_only=True)
class TenantConfig:
    """A tenant's effective configuration.

    Attributes:
        command: The program and its arguments; ``{port}`` in them stands for the port.
        env: Environment variables; nothing of the worker's own is handed on.
        working_folder: Absolute, or empty for one of the tenant's own.
        port: Zero: a free one is chosen.
        health: ``None``: a command that runs for a moment is healthy.
        stop_timeout: Seconds between SIGTERM and SIGKILL.
    """

    command: tuple[str, ...] = attrs.field(repr=False)
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    working_folder: str = attrs.field(default="", repr=False)
    port: int = 0
    health: Health | None = None
    stop_timeout: float = 10.0


@attrs.frozen(kw_only=True)
class Ports:
    """The ports from which a free one is chosen, both ends included.

    They lie below those that systems hand out to outgoing connections, so that a port is still free
    when its tenant is started again.
    """

    first: int = 20_000
    last: int = 29_999


@attrs.frozen(kw_only=True)
class Operator:
    """What only the operator sets.

    Attributes:
        folder: Where the tenants' folders are; absolute.
        ports: The ports to choose from.
        output_limit: Bytes of output kept in each of a tenant's two files.
    """

    folder: str
    ports: Ports = Ports()
    output_limit: int = 1 << 20


def _default_folder(settings: Mapping[str, object]) -> str:
    """The user's own folder of state, where no other is set."""
    if "folder" in settings:
        return ""
    state = state_folder()
    if state is None:
        raise ComputeRefused(
            "compute.process.folder is not set, and this user has no home folder to keep tenants in",
            hint="set compute.process.folder, XDG_STATE_HOME or HOME",
        )
    return str(state / "process")


_OPERATORS = frozenset(field.name for field in attrs.fields(Operator))
_KNOWN = _OPERATORS | {field.name for field in attrs.fields(TenantConfig)}


def operator_of(settings: Mapping[str, object]) -> Operator:
    """Read the operator's part of the section ``compute.process``.

    Raises:
        ComputeRefused: Naming each key that is unknown or has a bad value.
    """
    if problems := unknown_keys(settings, _KNOWN, "compute.process."):
        raise ComputeRefused("; ".join(problems), hint=f"it has {', '.join(sorted(_KNOWN))}")
    try:
        operator = codec.structure({"folder": _default_folder(settings), **settings}, Operator)
    except codec.BadDocument as error:
        raise ComputeRefused(f"compute.process: {error}") from None
    if not Path(operator.folder).is_absolute():
        raise ComputeRefused("compute.process.folder is not an absolute path")
    if not 0 < operator.ports.first <= operator.ports.last < 1 << 16:
        raise ComputeRefused("compute.process.ports is not a range within 1 to 65535")
    if operator.output_limit < 1:
        raise ComputeRefused("compute.process.output_limit is less than 1")
    return operator


def defaults_of(settings: Mapping[str, object]) -> dict[str, object]:
    """The rest of the section: the lowest layer of every tenant's configuration."""
    return {key: value for key, value in settings.items() if key not in _OPERATORS}
