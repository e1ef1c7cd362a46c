"""Landlord's validation of requests.

Texts and status codes were recorded from Landlord 98ffef1. The rules are Landlord's, odd rules
included: a name may contain any characters.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute import ComputeEngine, ComputeRegistry
from landlord_engines_core.devserver import gojson
from landlord_engines_core.devserver.records import TenantRecord
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.models import merge

__all__ = [
    "Declaration",
    "Refusal",
    "check_config",
    "check_name",
    "describe_engine",
    "read_declaration",
    "require_config",
]

LONGEST_NAME = 255
"""Bytes of a name."""


class Refusal(Exception):
    """Refused request.

    Attributes:
        status: The HTTP status.
        error: The error in Landlord's words.
        details: Details of it, a line each.
    """

    def __init__(self, status: HTTPStatus, error: str, *details: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.details = details


@attrs.frozen(kw_only=True)
class Declaration:
    """Body of a create or an update; unknown keys are ignored."""

    name: str | None = None
    compute_config: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None


def read_declaration(raw: bytes) -> Declaration:
    """Read the body of a create or an update.

    Raises:
        Refusal: The body is not JSON, or has a wrong form.
    """
    try:
        document = gojson.decode(raw)
        if not isinstance(document, dict):
            raise _bad_request(
                "Invalid JSON format", "json: cannot unmarshal a value that is no object"
            )
        return codec.structure(document, Declaration)
    except gojson.BadJson as error:
        raise _bad_request("Invalid JSON format", str(error)) from None
    except codec.BadDocument as error:
        raise _bad_request("Invalid JSON format", *error.problems) from None


def check_name(name: str | None) -> str:
    """Trim and check a tenant's name.

    Raises:
        Refusal: The name is missing or too long.
    """
    if not (trimmed := (name or "").strip()):
        raise _bad_request("name is required")
    if len(trimmed.encode(errors="replace")) > LONGEST_NAME:
        raise _bad_request(f"name must be <= {LONGEST_NAME} characters")
    return trimmed


def require_config(declaration: Declaration) -> Mapping[str, object]:
    """Return the configuration, which may be empty but not missing.

    Raises:
        Refusal: The configuration is missing.
    """
    if declaration.compute_config is None:
        raise _bad_request("compute_config is required")
    return declaration.compute_config


def check_config(
    compute: ComputeRegistry, declaration: Declaration, previous: TenantRecord | None = None
) -> None:
    """Check a configuration with its compute engine.

    The schema has to accept the configuration as it was sent. The engine's rules have to accept it
    together with the engine's defaults.

    Raises:
        Refusal: The engine is unknown, or refuses the configuration.
    """
    config = require_config(declaration)
    name = _engine_name(compute, declaration, previous)
    engine = _find_engine(compute, name)
    if problems := compute.schema_problems(name, config):
        raise _bad_request("Invalid compute configuration", *problems)
    try:
        engine.validate(merge(engine.config_defaults(), gojson.read_back(config)))
    except ComputeRefused as error:
        raise _bad_request("Invalid compute configuration", error.message) from None


def describe_engine(compute: ComputeRegistry, name: str) -> gojson.Struct:
    """Describe a compute engine's configuration by its schema and defaults.

    Raises:
        Refusal: The engine is missing or unknown.
    """
    if not name:
        raise _bad_request("provider is required")
    engine = _find_engine(compute, name)
    defaults = engine.config_defaults()
    return gojson.Struct(
        provider=name, schema=engine.config_schema(), **({"defaults": defaults} if defaults else {})
    )


def _find_engine(compute: ComputeRegistry, name: str) -> ComputeEngine:
    try:
        return compute.engine(name)
    except ComputeRefused:
        raise _bad_request(
            "Compute provider not available", f"compute provider not found: {name}"
        ) from None


def _engine_name(
    compute: ComputeRegistry, declaration: Declaration, previous: TenantRecord | None
) -> str:
    """Choose the engine: from the request, else from the previous record, else the only one."""
    if name := next(_find_names(declaration, previous), ""):
        return name
    if len(compute) != 1:
        raise _bad_request(
            "compute_provider is required when multiple compute providers are configured"
        )
    return next(iter(compute))


def _find_names(declaration: Declaration, previous: TenantRecord | None) -> Iterator[str]:
    sources: list[tuple[Mapping[str, object], str]] = []
    sources += _list_sources(
        declaration.compute_config, declaration.labels, declaration.annotations
    )
    if previous is not None:
        sources += _list_sources(previous.desired_config, previous.labels, previous.annotations)
    for source, key in sources:
        if isinstance(name := source.get(key), str) and name:
            yield name


def _list_sources(
    config: Mapping[str, object] | None,
    labels: Mapping[str, object] | None,
    annotations: Mapping[str, object] | None,
) -> list[tuple[Mapping[str, object], str]]:
    return [
        (config or {}, "compute_provider"),
        (config or {}, "compute_provider_type"),
        (labels or {}, "compute_provider"),
        (annotations or {}, "compute_provider"),
    ]


def _bad_request(error: str, *details: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, error, *details)
