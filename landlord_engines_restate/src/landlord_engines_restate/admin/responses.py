"""Responses of Restate's admin API; unknown fields are ignored."""

from collections.abc import Mapping

import attrs

__all__ = [
    "Deployment",
    "DeploymentDetails",
    "Deployments",
    "ErrorBody",
    "Handler",
    "RegisteredService",
    "RegistrationResponse",
    "RetryPolicy",
    "Rows",
    "Version",
]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """A retry policy as the server shows it; intervals are text such as ``2s``."""

    initial_interval: str | None = None
    exponentiation_factor: float | None = None
    max_interval: str | None = None
    max_attempts: int | None = None
    on_max_attempts: str | None = None


@attrs.frozen(kw_only=True)
class Handler:
    """A handler of a registered service; ``public`` if the ingress accepts requests for it."""

    name: str
    public: bool = True


@attrs.frozen(kw_only=True)
class RegisteredService:
    """A service in one revision; times are text such as ``10m``."""

    name: str
    deployment_id: str
    revision: int
    handlers: tuple[Handler, ...] = ()
    public: bool = True
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    abort_timeout: str | None = None
    inactivity_timeout: str | None = None
    idempotency_retention: str | None = None
    journal_retention: str | None = None
    retry_policy: RetryPolicy = attrs.field(factory=RetryPolicy)


@attrs.frozen(kw_only=True)
class Deployment:
    """A deployment in a listing; ``uri`` is empty if it is not an HTTP endpoint."""

    id: str
    uri: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class DeploymentDetails:
    """The response to a request for one deployment: its services, as Restate last discovered them."""

    id: str
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    services: tuple[RegisteredService, ...] = ()


@attrs.frozen(kw_only=True)
class RegistrationResponse:
    """The response to a registration: the deployment and its services; a dry run saves neither."""

    id: str
    services: tuple[RegisteredService, ...] = ()


@attrs.frozen(kw_only=True)
class Deployments:
    """The response to a listing of deployments."""

    deployments: tuple[Deployment, ...]


@attrs.frozen(kw_only=True)
class Version:
    """The server's version."""

    version: str = ""


@attrs.frozen(kw_only=True)
class Rows:
    """The rows of an SQL query on Restate's state."""

    rows: tuple[Mapping[str, object], ...]


@attrs.frozen(kw_only=True)
class ErrorBody:
    """The body of a response with an error status."""

    message: str
    restate_code: str | None = None
