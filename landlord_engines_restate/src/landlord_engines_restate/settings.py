"""The section ``workflow.restate``: Landlord's keys under Landlord's names, and three of ours.

What a key means to Landlord was read in and observed on Landlord 98ffef1.
"""

from ipaddress import ip_address

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Duration, Secret, Url

__all__ = ["Names", "RestateSettings"]

DEFAULT_SERVICE = "TenantProvisioning"
DEFAULT_ADDRESS = "127.0.0.1:9080"
KEY_PREFIX = "publickeyv1_"
PORTS = range(1, 65536)


@attrs.frozen
class Names:
    """What the worker's services are called on Restate; all derive from one name."""

    service: str
    landlord_calls: str

    @property
    def lock(self) -> str:
        """The private virtual object that holds the locks."""
        return f"{self.service}Tenant"

    @property
    def resync(self) -> str:
        """The private service that resyncs tenants."""
        return f"{self.service}Resync"


@attrs.frozen(kw_only=True)
class RestateSettings:
    """How the worker and Restate reach each other.

    Attributes:
        endpoint: Restate's ingress.
        admin_endpoint: Restate's admin API.
        execution_mechanism: Landlord's; without effect here.
        service_name: What Landlord calls; empty means TenantProvisioning.
        auth_type: none, api_key or iam; iam adds nothing, as with Landlord.
        api_key: Sent to the admin API as a bearer token where auth_type is api_key.
        timeout: Landlord's; without effect here.
        retry_attempts: Landlord's; without effect here, see worker.register_timeout.
        worker_register_on_startup: Whether the worker registers itself.
        worker_admin_endpoint: The admin API as the worker reaches it, if it differs.
        worker_namespace: A prefix of the service's name; Landlord does not call it.
        worker_service_prefix: A prefix of the service's name; Landlord does not call it.
        worker_landlord_api_url: Also worker.landlord_api_url.
        worker_compute_provider: Also worker.compute_provider.
        worker_compute_cache_ttl: Also worker.compute_cache_ttl.
        worker_advertised_url: Where Restate reaches the worker.
        worker_address: Where the worker listens, as host:port or :port.
        identity_keys: Restate's public keys; only requests that it signed are answered.
        allow_unsigned: Answer anybody although the worker listens beyond loopback.
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
        metadata={"environment": {"LANDLORD_RESTATE_WORKER_ADDRESS": "{}", "PORT": ":{}"}},
    )
    identity_keys: tuple[str, ...] = ()
    allow_unsigned: bool = False

    def check(self) -> None:
        """Check what holds between several keys.

        Raises:
            SettingsError: Naming the keys and what to set.
        """
        if self.auth_type not in ("", "none", "api_key", "iam"):
            raise SettingsError("workflow.restate.auth_type is not one of none, api_key, iam")
        if self.auth_type == "api_key" and not self.api_key:
            raise SettingsError("workflow.restate.auth_type is api_key and api_key is not set")
        if self.bearer is not None and not self.bearer.isprintable():
            raise SettingsError(
                "workflow.restate.api_key has a character that no header can hold",
                hint="look for a line break at its end",
            )
        for number, key in enumerate(self.identity_keys):
            if not key.startswith(KEY_PREFIX):
                raise SettingsError(
                    f"workflow.restate.identity_keys[{number}] is not a public key of Restate",
                    hint=f"restate-server logs its own at the start; it begins with {KEY_PREFIX}",
                )
        host, _ = self.listen()
        if not _is_loopback(host) and not self.identity_keys and not self.allow_unsigned:
            raise SettingsError(
                f"workflow.restate.worker_address {self.worker_address} can be reached from other"
                " machines, and nothing tells Restate's requests from others",
                hint="set workflow.restate.identity_keys to Restate's public keys, or"
                " workflow.restate.allow_unsigned to true where the network does it",
            )
        _ = self.admin_url, self.advertised_url

    def listen(self) -> tuple[str, int]:
        """The host and the port to listen on; no host means all interfaces, of both families.

        Raises:
            SettingsError: ``worker_address`` is not host:port.
        """
        host, colon, port = self.worker_address.rpartition(":")
        if not colon or not port.isdecimal() or int(port) not in PORTS:
            raise SettingsError(
                f"workflow.restate.worker_address {self.worker_address!r} is not host:port",
                hint="for example 127.0.0.1:9080, or :9080 for all interfaces",
            )
        return host.strip("[]"), int(port)

    @property
    def admin_url(self) -> str:
        """The admin API as the worker reaches it."""
        url = self.worker_admin_endpoint or self.admin_endpoint
        if url is None:
            raise SettingsError(
                "workflow.restate.admin_endpoint is not set, nor is worker_admin_endpoint",
                hint="set it to Restate's admin API, for example http://127.0.0.1:9070",
            )
        return url

    @property
    def advertised_url(self) -> str:
        """Where Restate reaches the worker; known by itself only on loopback.

        Raises:
            SettingsError: It is not known, or Restate would not call it as it is written.
        """
        if self.worker_advertised_url is not None:
            _check_callable(self.worker_advertised_url)
            return self.worker_advertised_url
        host, port = self.listen()
        if not _is_loopback(host):
            raise SettingsError(
                "workflow.restate.worker_advertised_url is not set",
                hint="set it to the URL at which Restate reaches this worker",
            )
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def bearer(self) -> str | None:
        """The admin API's key, where one is to be sent."""
        return str(self.api_key) if self.auth_type == "api_key" and self.api_key else None

    @property
    def names(self) -> Names:
        """What the services are called."""
        service = self.service_name or DEFAULT_SERVICE
        parts = (self.worker_namespace, self.worker_service_prefix, service)
        return Names("-".join(part for part in parts if part), service)


def _check_callable(url: str) -> None:
    """Refuse what restate-server 1.7.12 drops from a URL, or does not take in one (observed)."""
    if "?" in url:
        raise SettingsError(
            f"workflow.restate.worker_advertised_url {url} has a query, which Restate does not send",
            hint="leave out all from the question mark on; a path or a port tells workers apart",
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(
            f"workflow.restate.worker_advertised_url {url!r} has a character that Restate does not"
            " take",
            hint="write an international host as its xn-- form, and others percent-encoded",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
