"""The manifest that a worker answers Restate's discovery with, and how Restate shows it again.

Each service carries the manifest's digest in its metadata. Behind an address that several workers
share, any of them may answer the discovery: the digest that Restate shows with a service says whose
manifest it has read, whoever asked for it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from restate.discovery import compute_discovery_json
from restate.endpoint import Endpoint

from landlord_engines_restate.admin import RegisteredService

__all__ = ["DIGEST_KEY", "Manifest", "ServiceManifest", "manifest_of", "seconds"]

DIGEST_KEY = "landlord-engines/manifest"
"""The key of the manifest's digest in the metadata of a service, and of a deployment."""

VERSION = 4
"""The form of the manifest that the digest is made of; only its stability matters."""

_TIMES = {
    "abortTimeout": "abort_timeout",
    "inactivityTimeout": "inactivity_timeout",
    "idempotencyRetention": "idempotency_retention",
    "journalRetention": "journal_retention",
    "retryPolicyInitialInterval": "initial_interval",
    "retryPolicyMaxInterval": "max_interval",
}
"""Milliseconds in the manifest, and the admin API's names."""

_OTHERS = {
    "retryPolicyExponentiationFactor": "exponentiation_factor",
    "retryPolicyMaxAttempts": "max_attempts",
    "retryPolicyOnMaxAttempts": "on_max_attempts",
}

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")

Options = Mapping[str, bool | float | str | None]
"""By the admin API's names; times are seconds."""


@attrs.frozen(kw_only=True)
class ServiceManifest:
    """What a worker says of one service.

    Attributes:
        handlers: Their names.
        options: Those that are set, of the service and, behind its name, of a handler.
    """

    name: str
    handlers: frozenset[str]
    options: Options

    def differences(self, registered: RegisteredService) -> Iterator[str]:
        """Say what Restate keeps otherwise than it was sent."""
        kept = _options(registered)
        for key, sent in self.options.items():
            if not _is_same(kept.get(key), sent):
                yield f"{key} of {self.name} as {kept.get(key)} where {sent} was sent"


@attrs.frozen(kw_only=True)
class Manifest:
    """What a worker answers Restate's discovery with.

    Attributes:
        digest: Of all of it.
        services: The first is the one that Landlord calls.
    """

    digest: str
    services: tuple[ServiceManifest, ...]

    def was_read_for(self, registered: tuple[RegisteredService, ...]) -> bool:
        """Whether Restate made these services of this very manifest."""
        digests = {service.name: service.metadata.get(DIGEST_KEY) for service in registered}
        return digests == {service.name: self.digest for service in self.services}

    def lost_handlers(self, registered: tuple[RegisteredService, ...]) -> Mapping[str, list[str]]:
        """The handlers that these services have and this manifest does not, by service."""
        offered = {service.name: service.handlers for service in self.services}
        lost = {
            service.name: {handler.name for handler in service.handlers}
            - offered.get(service.name, frozenset())
            for service in registered
        }
        return {name: sorted(handlers) for name, handlers in lost.items() if handlers}

    def differences(self, registered: tuple[RegisteredService, ...]) -> tuple[str, ...]:
        """Say what Restate keeps otherwise than it was sent; nothing while all is well."""
        kept = {service.name: service for service in registered}
        return tuple(
            difference
            for service in self.services
            for difference in service.differences(kept[service.name])
        )


def manifest_of(endpoint: Endpoint) -> Manifest:
    """Make the manifest of what is bound to an endpoint, and have each service carry its digest."""
    raw = compute_discovery_json(endpoint, VERSION, "request_response")
    digest = hashlib.sha256(raw.encode()).hexdigest()
    for service in endpoint.services.values():
        service.service_tag.metadata = {DIGEST_KEY: digest}
    services = tuple(_service(service) for service in json.loads(raw)["services"])
    return Manifest(digest=digest, services=services)


def seconds(text: str | None) -> float | None:
    """Read a time as Restate's admin API writes it, for example ``10m`` or ``1h 30m``."""
    if text is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _service(sent: Mapping[str, Any]) -> ServiceManifest:
    times = {name: sent[key] / 1000 for key, name in _TIMES.items() if key in sent}
    others = {name: sent[key] for key, name in _OTHERS.items() if key in sent}
    handlers = {f"{one['name']}.public": _is_public(one) for one in sent["handlers"]}
    return ServiceManifest(
        name=sent["name"],
        handlers=frozenset(one["name"] for one in sent["handlers"]),
        options={"public": _is_public(sent), **handlers, **times, **others},
    )


def _is_public(sent: Mapping[str, Any]) -> bool:
    return not sent.get("ingressPrivate", False)


def _options(registered: RegisteredService) -> Options:
    policy = registered.retry_policy
    return {
        "public": registered.public,
        **{f"{handler.name}.public": handler.public for handler in registered.handlers},
        "abort_timeout": seconds(registered.abort_timeout),
        "inactivity_timeout": seconds(registered.inactivity_timeout),
        "idempotency_retention": seconds(registered.idempotency_retention),
        "journal_retention": seconds(registered.journal_retention),
        "initial_interval": seconds(policy.initial_interval),
        "max_interval": seconds(policy.max_interval),
        "exponentiation_factor": policy.exponentiation_factor,
        "max_attempts": policy.max_attempts,
        "on_max_attempts": policy.on_max_attempts,
    }


def _is_same(kept: float | str | None, sent: float | str | None) -> bool:
    if isinstance(kept, str) and isinstance(sent, str):
        # PAUSE in a manifest is shown as Pause.
        return kept.casefold() == sent.casefold()
    if isinstance(kept, int | float) and isinstance(sent, int | float):
        # Restate keeps whole milliseconds, and the factor as a 32-bit number.
        return abs(kept - sent) < 0.001  # noqa: PLR2004
    return kept == sent
