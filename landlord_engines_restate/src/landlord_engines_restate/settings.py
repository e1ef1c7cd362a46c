"""The section ``workflow.restate``: Landlord's keys, and `identity_keys` and `allow_unsigned` of this engine.

The meanings of Landlord's keys come from the source of Landlord 98ffef1 and were observed there.
"""

from ipaddress import ip_address

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Duration, Secret, Url

__all__ = ["Names", "RestateSettings"]

DEFAULT_SERVICE = "TenantProvisioning"
DEFAULT_ADDRESS = "127.0.0.1:9080"
KEY_PREFIX = "publickeyv1_"
KEY_BYTES = 32
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
PORTS = range(1, 65536)


@attrs.frozen
class Names:
    """Names of the worker's services on Restate, all derived from one name.

    Attributes:
        service: The jobs' service.
        unprefixed_service: The service that Landlord calls. It is the jobs' service, unless
            ``worker_namespace`` or ``worker_service_prefix`` is set.
    """

    service: str
    unprefixed_service: str

    @property
    def lock(self) -> str:
        """The private virtual object with the tenants' locks."""
        return f"{self.service}Tenant"

    @property
    def resync(self) -> str:
        """The private service that resyncs tenants."""
        return f"{self.service}Resync"


@attrs.frozen(kw_only=True)
class RestateSettings:
    """Addresses and credentials of the worker and of Restate.

    Attributes:
        endpoint: Restate's ingress.
        admin_endpoint: Restate's admin API.
        execution_mechanism: Only Landlord uses it.
        service_name: The service that Landlord calls; empty means TenantProvisioning.
        auth_type: none, api_key or iam; iam adds no credentials, as in Landlord.
        api_key: Sent to the admin API as a bearer token if auth_type is api_key.
        timeout: Only Landlord uses it.
        retry_attempts: Only Landlord uses it; this worker has worker.register_timeout.
        worker_register_on_startup: Whether the worker registers itself.
        worker_admin_endpoint: The URL at which the worker reaches Restate's admin API, if it is not
            ``admin_endpoint``.
        worker_namespace: A prefix of the service's name; Landlord does not use it in its calls.
        worker_service_prefix: A prefix of the service's name; Landlord does not use it in its calls.
        worker_landlord_api_url: The same as worker.landlord_api_url.
        worker_compute_provider: The same as worker.compute_provider.
        worker_compute_cache_ttl: The same as worker.compute_cache_ttl.
        worker_advertised_url: URL at which Restate reaches the worker.
        worker_address: Listen address, as host:port or :port.
        identity_keys: Restate's public keys; the worker answers only requests signed with one of them.
        allow_unsigned: Answer unsigned requests even if other machines reach the worker.
    """

    endpoint: Url | None = None
    admin_endpoint: Url | None = None
    execution_mechanism: str = ""
    service_name: str = ""
    auth_type: str = "none"
    api_key: Secret | None = None
    timeout: Duration | None = None
    retry_attempts: int = 0
    worker_register_on_startup: bool = True
    worker_admin_endpoint: Url | None = None
    worker_namespace: str = ""
    worker_service_prefix: str = ""
    worker_landlord_api_url: Url | None = None
    worker_compute_provider: str | None = None
    worker_compute_cache_ttl: Duration | None = None
    worker_advertised_url: Url | None = None
    worker_address: str = attrs.field(
        default=DEFAULT_ADDRESS,
        # Each variable with the format of the setting's value.
        metadata={"environment": {"LANDLORD_RESTATE_WORKER_ADDRESS": "{}", "PORT": ":{}"}},
    )
    identity_keys: tuple[str, ...] = ()
    allow_unsigned: bool = False

    def check(self) -> None:
        """Check the keys that depend on each other.

        Raises:
            SettingsError: Keys contradict each other, or one is missing.
        """
        self._check_api_key()
        self._check_identity_keys()
        address, _ = self.listen_address()
        if not _is_loopback(address) and not self.identity_keys and not self.allow_unsigned:
            raise SettingsError(
                f"workflow.restate.worker_address {self.worker_address} can be reached from other"
                " machines, and the worker cannot tell Restate's requests from others",
                hint="set workflow.restate.identity_keys to Restate's public keys, or"
                " workflow.restate.allow_unsigned to true if the network admits only Restate",
            )
        # Both properties raise an error if what they need is missing.
        _ = self.admin_url, self.advertised_url

    def _check_api_key(self) -> None:
        if self.auth_type not in ("", "none", "api_key", "iam"):
            raise SettingsError(
                "workflow.restate.auth_type is not one of none, api_key, iam",
                hint="set it to one of these",
            )
        if self.auth_type == "api_key" and not self.api_key:
            raise SettingsError(
                "workflow.restate.auth_type is api_key and api_key is not set",
                hint="set workflow.restate.api_key, or auth_type to none",
            )
        if self.bearer is not None and not self.bearer.isprintable():
            raise SettingsError(
                "workflow.restate.api_key has a character that an HTTP header cannot contain",
                hint="check for a line break at its end",
            )

    def _check_identity_keys(self) -> None:
        for number, key in enumerate(self.identity_keys):
            if not _is_public_key(key):
                raise SettingsError(
                    f"workflow.restate.identity_keys[{number}] is not a public key of Restate",
                    hint=f"use the key that restate-server logs at its start: {KEY_PREFIX}...",
                )

    def listen_address(self) -> tuple[str, int]:
        """Return the listen address and the port; no address means all interfaces, IPv4 and IPv6.

        Raises:
            SettingsError: ``worker_address`` is not host:port.
        """
        address, colon, port = self.worker_address.rpartition(":")
        if not colon or not port.isdecimal() or int(port) not in PORTS:
            raise SettingsError(
                f"workflow.restate.worker_address {self.worker_address!r} is not host:port",
                hint="set it to 127.0.0.1:9080, for example, or to :9080 for all interfaces",
            )
        return address.strip("[]"), int(port)

    @property
    def admin_url(self) -> str:
        """The URL at which the worker reaches Restate's admin API."""
        url = self.worker_admin_endpoint or self.admin_endpoint
        if url is None:
            raise SettingsError(
                "workflow.restate.admin_endpoint is not set, nor is worker_admin_endpoint",
                hint="set it to Restate's admin API, for example http://127.0.0.1:9070",
            )
        return url

    @property
    def advertised_url(self) -> str:
        """The URL at which Restate reaches the worker; by default the listen address, if that is loopback.

        Raises:
            SettingsError: The URL is missing, or Restate would change or reject it.
        """
        if self.worker_advertised_url is not None:
            _check_callable(self.worker_advertised_url)
            return self.worker_advertised_url
        address, port = self.listen_address()
        if not _is_loopback(address):
            raise SettingsError(
                "workflow.restate.worker_advertised_url is not set",
                hint="set it to the URL at which Restate reaches this worker",
            )
        return f"http://{f'[{address}]' if ':' in address else address}:{port}"

    @property
    def bearer(self) -> str | None:
        """The admin API's key, if ``auth_type`` asks for one."""
        return str(self.api_key) if self.auth_type == "api_key" and self.api_key else None

    @property
    def names(self) -> Names:
        """Names of the worker's services."""
        service = self.service_name or DEFAULT_SERVICE
        parts = (self.worker_namespace, self.worker_service_prefix, service)
        return Names("-".join(part for part in parts if part), service)


def _is_public_key(key: str) -> bool:
    """Check for the prefix and 32 bytes in base58, which Restate's SDK requires (observed on 1.3.0)."""
    encoded = key.removeprefix(KEY_PREFIX)
    if encoded == key or not set(encoded) <= set(BASE58):
        return False
    number = 0
    for digit in encoded:
        number = number * len(BASE58) + BASE58.index(digit)
    leading_zeros = len(encoded) - len(encoded.lstrip(BASE58[0]))
    return leading_zeros + (number.bit_length() + 7) // 8 == KEY_BYTES


def _check_callable(url: str) -> None:
    """Refuse a URL that restate-server 1.7.12 would change or reject (observed).

    Raises:
        SettingsError: The URL has a query, or a character that Restate rejects.
    """
    if "?" in url:
        raise SettingsError(
            f"workflow.restate.worker_advertised_url {url} has a query, which Restate does not send",
            hint="remove the query; use a path or a port to tell workers apart",
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(
            f"workflow.restate.worker_advertised_url {url!r} has a character that Restate rejects",
            hint="write an international host as its xn-- form, and others percent-encoded",
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
