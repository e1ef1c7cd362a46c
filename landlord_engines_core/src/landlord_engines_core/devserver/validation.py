"""What Landlord accepts: the form of a request, the compute engine that it means, the states.

Texts and status codes were recorded from Landlord 98ffef1; its rules hold as they are there, odd
ones included: a name may hold any characters.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute import ComputeEngine, ComputeRegistry
from landlord_engines_core.devserver import gojson
from landlord_engines_core.devserver.records import TenantRecord
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.resolution import merge

__all__ = [
    "Declaration",
    "Refusal",
    "check_config",
    "checked_name",
    "declared",
    "discovered",
    "required_config",
]

LONGEST_NAME = 255
"""Bytes."""


class Refusal(Exception):
    """A request is answered with an error.

    Attributes:
        status: The HTTP status.
        error: What is wrong, in Landlord's words.
        details: More of it, a line each.
    """

    def __init__(self, status: HTTPStatus, error: str, *details: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.details = details


@attrs.frozen(kw_only=True)
class Declaration:
    """The body of a create or an update; unknown keys are ignored."""

    name: str | None = None
    compute_config: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None


def declared(raw: bytes) -> Declaration:
    """Read the body of a create or an update.

    Raises:
        Refusal: It is not JSON, or not of this form.
    """
    try:
        document = gojson.decode(raw)
        if not isinstance(document, dict):
            raise _bad("Invalid JSON format", "json: cannot unmarshal a value that is no object")
        return codec.structure(document, Declaration)
    except gojson.BadJson as error:
        raise _bad("Invalid JSON format", str(error)) from None
    except codec.BadDocument as error:
        raise _bad("Invalid JSON format", *error.problems) from None


def checked_name(name: str | None) -> str:
    """A tenant's name, trimmed.

    Raises:
        Refusal: There is none, or it is too long.
    """
    if not (trimmed := (name or "").strip()):
        raise _bad("name is required")
    if len(trimmed.encode(errors="replace")) > LONGEST_NAME:
        raise _bad(f"name must be <= {LONGEST_NAME} characters")
    return trimmed


def required_config(declaration: Declaration) -> Mapping[str, object]:
    """The configuration, which may be empty and must be there.

    Raises:
        Refusal: It is not.
    """
    if declaration.compute_config is None:
        raise _bad("compute_config is required")
    return declaration.compute_config


def check_config(
    compute: ComputeRegistry, declaration: Declaration, former: TenantRecord | None = None
) -> None:
    """Check a configuration with the compute engine that it means.

    The schema is held against the configuration as it was sent, the engine's own rules against what
    the engine's defaults make of it.

    Raises:
        Refusal: The engine is not known, or refuses the configuration.
    """
    config = required_config(declaration)
    name = _engine_name(compute, declaration, former)
    engine = _known(compute, name)
    if problems := compute.schema_problems(name, config):
        raise _bad("Invalid compute configuration", *problems)
    try:
        engine.validate(merge(engine.config_defaults(), gojson.as_read(config)))
    except ComputeRefused as error:
        raise _bad("Invalid compute configuration", error.message) from None


def discovered(compute: ComputeRegistry, name: str) -> gojson.Struct:
    """What a compute engine's configuration looks like.

    Raises:
        Refusal: No engine is named, or one that is not known.
    """
    if not name:
        raise _bad("provider is required")
    engine = _known(compute, name)
    defaults = engine.config_defaults()
    return gojson.Struct(
        provider=name, schema=engine.config_schema(), **({"defaults": defaults} if defaults else {})
    )


def _known(compute: ComputeRegistry, name: str) -> ComputeEngine:
    try:
        return compute.engine(name)
    except ComputeRefused:
        raise _bad(
            "Compute provider not available", f"compute provider not found: {name}"
        ) from None


def _engine_name(
    compute: ComputeRegistry, declaration: Declaration, former: TenantRecord | None
) -> str:
    """The engine that the request names, else the one of the record before, else the only one."""
    if name := next(_named(declaration, former), ""):
        return name
    if len(compute) != 1:
        raise _bad("compute_provider is required when multiple compute providers are configured")
    return next(iter(compute))


def _named(declaration: Declaration, former: TenantRecord | None) -> Iterator[str]:
    sources: list[tuple[Mapping[str, object], str]] = []
    sources += _locations(declaration.compute_config, declaration.labels, declaration.annotations)
    if former is not None:
        sources += _locations(former.desired_config, former.labels, former.annotations)
    for source, key in sources:
        if isinstance(name := source.get(key), str) and name:
            yield name


def _locations(
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


def _bad(error: str, *details: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, error, *details)
