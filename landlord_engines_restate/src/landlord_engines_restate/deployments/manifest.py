"""The worker's manifest, which it sends when Restate discovers it, and comparison with Restate's copy.

Each service has the manifest's digest in its metadata. Several workers may share an address, and any of
them may answer a discovery. The digest of a registered service shows which manifest Restate has read.
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

__all__ = ["DIGEST_KEY", "Manifest", "ServiceManifest", "build_manifest", "read_seconds"]

DIGEST_KEY = "landlord-engines/manifest"
"""Key of the manifest's digest in the metadata of a service, and of a deployment."""

VERSION = 4
"""Version of the manifest's format from which the digest is computed; only its stability matters."""

_TIMES = {
    "abortTimeout": "abort_timeout",
    "inactivityTimeout": "inactivity_timeout",
    "idempotencyRetention": "idempotency_retention",
    "journalRetention": "journal_retention",
    "retryPolicyInitialInterval": "initial_interval",
    "retryPolicyMaxInterval": "max_interval",
}
"""Names of options with a time: in the manifest (milliseconds), and in the admin API."""

_OTHER_OPTIONS = {
    "retryPolicyExponentiationFactor": "exponentiation_factor",
    "retryPolicyMaxAttempts": "max_attempts",
    "retryPolicyOnMaxAttempts": "on_max_attempts",
}

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")

Options = Mapping[str, bool | float | str | None]
"""Options by the admin API's names; times are seconds."""


@attrs.frozen(kw_only=True)
class ServiceManifest:
    """One service in a manifest.

    Attributes:
        handlers: Names of the handlers.
        options: The options that are set. A handler's option is prefixed with the handler's name.
    """

    name: str
    handlers: frozenset[str]
    options: Options

    def differences(self, registered: RegisteredService) -> Iterator[str]:
        """Describe each option whose value in Restate differs from the manifest."""
        kept = _options(registered)
        for key, sent in self.options.items():
            if not _is_same(kept.get(key), sent):
                yield f"{key} of {self.name} as {kept.get(key)} although {sent} was sent"


@attrs.frozen(kw_only=True)
class Manifest:
    """A worker's response to Restate's discovery.

    Attributes:
        digest: Digest of the whole manifest.
        services: The services. Landlord calls the first one.
    """

    digest: str
    services: tuple[ServiceManifest, ...]

    def was_read_for(self, registered: tuple[RegisteredService, ...]) -> bool:
        """Whether Restate read these services from this manifest."""
        digests = {service.name: service.metadata.get(DIGEST_KEY) for service in registered}
        return digests == {service.name: self.digest for service in self.services}

    def missing_handlers(
        self, registered: tuple[RegisteredService, ...]
    ) -> Mapping[str, list[str]]:
        """Return the handlers that these services have and this manifest lacks, by service."""
        offered = {service.name: service.handlers for service in self.services}
        missing = {
            service.name: {handler.name for handler in service.handlers}
            - offered.get(service.name, frozenset())
            for service in registered
        }
        return {name: sorted(handlers) for name, handlers in missing.items() if handlers}

    def differences(self, registered: tuple[RegisteredService, ...]) -> tuple[str, ...]:
        """Describe all options whose value in Restate differs from the manifest."""
        kept = {service.name: service for service in registered}
        return tuple(
            difference
            for service in self.services
            for difference in service.differences(kept[service.name])
        )


def build_manifest(endpoint: Endpoint) -> Manifest:
    """Build the manifest of an endpoint's services, and set its digest in their metadata."""
    raw = compute_discovery_json(endpoint, VERSION, "request_response")
    # The digest cannot cover itself, so it is added after its computation.
    digest = hashlib.sha256(raw.encode()).hexdigest()
    for service in endpoint.services.values():
        service.service_tag.metadata = {DIGEST_KEY: digest}
    services = tuple(_service(service) for service in json.loads(raw)["services"])
    return Manifest(digest=digest, services=services)


def read_seconds(text: str | None) -> float | None:
    """Read a time as Restate's admin API writes it, for example ``10m`` or ``1h 30m``."""
    if text is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _service(sent: Mapping[str, Any]) -> ServiceManifest:
    times = {name: sent[key] / 1000 for key, name in _TIMES.items() if key in sent}
    others = {name: sent[key] for key, name in _OTHER_OPTIONS.items() if key in sent}
    handlers = {f"{handler['name']}.public": _is_public(handler) for handler in sent["handlers"]}
    return ServiceManifest(
        name=sent["name"],
        handlers=frozenset(handler["name"] for handler in sent["handlers"]),
        options={"public": _is_public(sent), **handlers, **times, **others},
    )


def _is_public(sent: Mapping[str, Any]) -> bool:
    return not sent.get("ingressPrivate", False)


def _options(registered: RegisteredService) -> Options:
    policy = registered.retry_policy
    return {
        "public": registered.public,
        **{f"{handler.name}.public": handler.public for handler in registered.handlers},
        "abort_timeout": read_seconds(registered.abort_timeout),
        "inactivity_timeout": read_seconds(registered.inactivity_timeout),
        "idempotency_retention": read_seconds(registered.idempotency_retention),
        "journal_retention": read_seconds(registered.journal_retention),
        "initial_interval": read_seconds(policy.initial_interval),
        "max_interval": read_seconds(policy.max_interval),
        "exponentiation_factor": policy.exponentiation_factor,
        "max_attempts": policy.max_attempts,
        "on_max_attempts": policy.on_max_attempts,
    }


def _is_same(kept: float | str | None, sent: float | str | None) -> bool:
    if isinstance(kept, str) and isinstance(sent, str):
        # Restate shows PAUSE of a manifest as Pause.
        return kept.casefold() == sent.casefold()
    if isinstance(kept, int | float) and isinstance(sent, int | float):
        # Restate keeps whole milliseconds, and the factor as a 32-bit number.
        return abs(kept - sent) < 0.001  # noqa: PLR2004
    return kept == sent
