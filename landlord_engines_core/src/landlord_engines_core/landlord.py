"""Client of the part of Landlord's HTTP API v1 that a worker reads.

The shapes and status codes were observed on Landlord 98ffef1.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import attrs
from yarl import URL

from landlord_engines_core import codec
from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import LandlordUnavailable
from landlord_engines_core.models import Tenant
from landlord_engines_core.proxies import name_proxy, proxy_for
from landlord_engines_core.tls import scheme_hint
from landlord_engines_core.tracing import annotate, outgoing_headers, trace_span

__all__ = ["LandlordClient", "add_version"]

TIMEOUT = 10.0
"""Seconds for one request, connecting included."""

LONGEST_BODY = 1 << 26
"""Largest answer in bytes: 64 MiB."""

T = TypeVar("T")

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_VERSION = re.compile(r"v\d+")


def add_version(base_url: str) -> str:
    """Add the API's version to a base URL, as Landlord's clients do.

    A path that ends in a version is kept. A last segment ``api`` becomes ``v1``. Any other path gets
    ``/v1`` at its end.
    """
    parts = urlsplit(base_url.rstrip("/"))
    segments = parts.path.split("/") if parts.path else [""]
    if segments[-1] == "api":
        segments[-1] = "v1"
    elif not _VERSION.fullmatch(segments[-1]):
        segments.append("v1")
    return urlunsplit((parts.scheme, parts.netloc, "/".join(segments), "", ""))


class LandlordClient:
    """Reads tenants and configuration defaults from Landlord.

    Every method raises LandlordUnavailable if Landlord gives no usable answer.

    Raises:
        SettingsError: The variable of the proxy to Landlord does not contain a proxy's URL.
    """

    # No method retries: each runs inside a step, and the backend enters a failed step again.

    def __init__(self, base_url: str) -> None:
        self.url = add_version(base_url)
        self._proxy = proxy_for(self.url)
        self._session: aiohttp.ClientSession | None = None

    async def tenant(self, key: str, *, fresh: bool = False) -> Tenant | None:
        """Read a tenant; ``None`` if Landlord has none.

        Args:
            key: The tenant's UUID or name.
            fresh: Whether intermediate caches must not answer.
        """
        path = f"tenants/{quote(key, safe='')}"
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        status, body = await self._get("read a tenant", path, headers=headers)
        if status == HTTPStatus.NOT_FOUND and _is_landlord_error(body):
            return None
        return self._read(path, status, body, Tenant)

    async def compute_defaults(self, engine: str) -> Mapping[str, object]:
        """Read the defaults that a tenant's configuration overrides in Landlord."""
        # Landlord answers 400 for an engine that it does not know, and so has no defaults for it.
        path = "compute/config"
        status, body = await self._get("read defaults", path, params={"provider": engine})
        if status == HTTPStatus.BAD_REQUEST and _is_landlord_error(body):
            return {}
        return self._read(path, status, body, _ComputeConfig).defaults

    async def reach(self) -> None:
        """Check that the API answers."""
        path = "tenants"
        status, body = await self._get("list tenants", path, params={"limit": "1"})
        self._read(path, status, body, _TenantList)

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _get(
        self,
        request: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> tuple[int, bytes]:
        """Send a request, and return the answer's status and body; ``request`` names its span."""
        with trace_span(f"landlord: {request}", {"http.request.method": "GET"}, is_request=True):
            status, body = await self._exchange(path, params, {**headers, **outgoing_headers()})
            annotate({"http.response.status_code": status})
            return status, body

    async def _exchange(
        self, path: str, params: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        url = f"{self.url}/{path}"
        try:
            # encoded: the path is quoted already, since a tenant's name may contain a slash.
            async with self._session.get(
                URL(url, encoded=True),
                params=params,
                headers=headers,
                proxy=self._proxy,
                # Landlord does not redirect: a proxy or a login page in front of it does.
                allow_redirects=False,
            ) as response:
                return response.status, await self._body(response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise LandlordUnavailable(
                f"Landlord's API at {self.url} shows a certificate that is not trusted:"
                f" {error.certificate_error}",
                hint="set SSL_CERT_FILE to a file with the certificate of its CA",
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise LandlordUnavailable(
                f"Landlord's API at {self.url} cannot be read: {name_proxy(self._proxy, reason)}",
                hint=scheme_hint(error, "worker.landlord_api_url")
                or "check worker.landlord_api_url, and that Landlord runs",
            ) from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await read_body(response.content.iter_any(), LONGEST_BODY)
        except LongBody as error:
            raise LandlordUnavailable(
                f"Landlord's API at {self.url} cannot be read: {error}",
                hint="check that worker.landlord_api_url is the URL of Landlord",
            ) from error

    def _read(self, path: str, status: int, body: bytes, kind: type[T]) -> T:
        if status != HTTPStatus.OK:
            raise LandlordUnavailable(
                f"Landlord's API at {self.url} answered {path}"
                f" with {name_proxy(self._proxy, f'status {status}')}",
                hint="check worker.landlord_api_url and Landlord's log",
            )
        try:
            return codec.loads(body, kind)
        except codec.BadDocument as error:
            raise LandlordUnavailable(
                f"the answer of Landlord's API at {self.url} to {path} has a wrong form: {error}",
                hint="check that worker.landlord_api_url is the URL of Landlord",
            ) from error


@attrs.frozen(kw_only=True)
class _ErrorBody:
    error: str


@attrs.frozen(kw_only=True)
class _ComputeConfig:
    provider: str
    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class _TenantList:
    total: int


def _is_landlord_error(body: bytes) -> bool:
    """Whether Landlord wrote this error, and not a proxy or another server."""
    try:
        codec.loads(body, _ErrorBody)
    except codec.BadDocument:
        return False
    return True
