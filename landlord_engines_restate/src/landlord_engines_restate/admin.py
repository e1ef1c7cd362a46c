"""Restate's admin API, as far as a worker needs it; the only door to it.

Shapes were observed on restate-server 1.7.12.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import attrs
from xxhash import xxh3_64_intdigest
from yarl import URL

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError

__all__ = [
    "AdminClient",
    "AdminRefused",
    "AdminUnavailable",
    "Deployment",
    "Handler",
    "RegisteredService",
    "RetryPolicy",
    "literal",
    "partition_key",
]

T = TypeVar("T")

TIMEOUT = 10.0
REGISTRATION_TIMEOUT = 30.0
"""Seconds; a registration includes Restate's own call to the worker."""


class AdminUnavailable(EngineError):
    """The admin API cannot be reached or is in trouble; another try may succeed."""

    code = "LE321"


class AdminRefused(EngineError):
    """The admin API understood and said no.

    Attributes:
        status: The HTTP status.
        restate_code: Restate's own code, for example META0003; may be empty.
    """

    code = "LE322"

    def __init__(self, message: str, *, status: int, restate_code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.restate_code = restate_code


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
    """A handler of a registered service."""

    name: str


@attrs.frozen(kw_only=True)
class RegisteredService:
    """A service in its latest revision; times are text such as ``10m``."""

    name: str
    deployment_id: str
    revision: int
    handlers: tuple[Handler, ...] = ()
    abort_timeout: str | None = None
    idempotency_retention: str | None = None
    journal_retention: str | None = None
    retry_policy: RetryPolicy = attrs.field(factory=RetryPolicy)


@attrs.frozen(kw_only=True)
class Deployment:
    """A deployment; ``uri`` is empty where it is not an HTTP endpoint."""

    id: str
    uri: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class _Detailed:
    services: tuple[RegisteredService, ...] = ()


@attrs.frozen(kw_only=True)
class _Deployments:
    deployments: tuple[Deployment, ...]


@attrs.frozen(kw_only=True)
class _Registered:
    id: str
    services: tuple[RegisteredService, ...] = ()


@attrs.frozen(kw_only=True)
class _Rows:
    rows: tuple[Mapping[str, object], ...]


@attrs.frozen(kw_only=True)
class _Error:
    message: str
    restate_code: str | None = None


def literal(text: str) -> str:
    """Quote text for a query; a tenant's key may hold any characters."""
    return "'" + text.replace("'", "''") + "'"


def partition_key(service_key: str) -> int:
    """Where Restate keeps the state of a virtual object with this key.

    A query of ``state`` that names it is a look at one place; without it Restate 1.7.12 reads the
    state of every object, whatever the service and the key (observed). Restate documents neither, so
    that finding nothing there proves nothing.
    """
    return int(xxh3_64_intdigest(service_key.encode() + b"\xff"))


class AdminClient:
    """Asks one Restate server, over connections that are kept open.

    Every method raises AdminUnavailable where there is no usable answer, and AdminRefused where the
    server says no. None of them retries.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> bytes:
        """Read any path; what matters is mostly that it answers."""
        return await self._call("GET", path)

    async def deployments(self) -> tuple[Deployment, ...]:
        """List all deployments."""
        return self._read(await self._call("GET", "/deployments"), _Deployments).deployments

    async def deployed(self, deployment_id: str) -> tuple[RegisteredService, ...]:
        """List what a deployment serves, with its own revision's handlers."""
        raw = await self._call("GET", f"/deployments/{quote(deployment_id, safe='')}")
        return self._read(raw, _Detailed).services

    async def service(self, name: str) -> RegisteredService | None:
        """Read a service in its latest revision; ``None`` if there is none of this name."""
        try:
            raw = await self._call("GET", f"/services/{quote(name, safe='')}")
        except AdminRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return self._read(raw, RegisteredService)

    async def register(
        self, uri: str, *, force: bool, dry_run: bool = False, metadata: Mapping[str, str]
    ) -> str:
        """Have the server discover a worker.

        Args:
            uri: Where the server reaches the worker.
            force: Read the manifest again where the URI is known.
            dry_run: Discover only.
            metadata: To be kept with the deployment.

        Returns:
            The deployment's id.
        """
        # The server shows true as force's default and takes false, so it is always sent.
        document = {
            "uri": uri,
            "use_http_11": True,
            "force": force,
            "dry_run": dry_run,
            "metadata": dict(metadata),
        }
        raw = await self._call("POST", "/deployments", document, within=REGISTRATION_TIMEOUT)
        return self._read(raw, _Registered).id

    async def query(self, sql: str) -> tuple[Mapping[str, object], ...]:
        """Run a query; columns that are null are left out of a row."""
        return self._read(await self._call("POST", "/query", {"query": sql}), _Rows).rows

    async def kill(self, invocation_id: str) -> bool:
        """Kill an invocation.

        Returns:
            Whether it ran; one that has ended or is not known is left alone.
        """
        return await self._change(invocation_id, "kill")

    async def pause(self, invocation_id: str) -> bool:
        """Have an invocation stand still; one that runs does so once its step has ended.

        Returns:
            Whether the server took it.
        """
        return await self._change(invocation_id, "pause")

    async def resume(self, invocation_id: str, deployment: str) -> bool:
        """Have an invocation go on, on another deployment; one that has ended is left alone.

        Args:
            invocation_id: It is suspended or paused.
            deployment: Its id, or ``latest`` for that which new invocations go to.

        Returns:
            Whether the server took it; not where the invocation runs or waits for a next attempt.
        """
        return await self._change(invocation_id, f"resume?deployment={quote(deployment, safe='')}")

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _change(self, invocation_id: str, change: str) -> bool:
        try:
            await self._call("PATCH", f"/invocations/{quote(invocation_id, safe='')}/{change}")
        except AdminRefused as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                return False
            raise
        return True

    async def _call(
        self, method: str, path: str, document: object = None, *, within: float = TIMEOUT
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        try:
            async with self._session.request(
                method,
                URL(self.url + path, encoded=True),
                json=document,
                timeout=aiohttp.ClientTimeout(total=within),
                allow_redirects=False,
            ) as response:
                body = await response.read()
                status = response.status
        except aiohttp.ClientConnectorCertificateError as error:
            raise AdminUnavailable(
                f"Restate's admin API at {self.url} shows a certificate that is not trusted:"
                f" {error.certificate_error}",
                hint="have SSL_CERT_FILE name a file with its CA's certificate",
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise self._unavailable(reason) from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._error(status, body)
        return body

    def _read(self, body: bytes, kind: type[T]) -> T:
        try:
            return codec.loads(body, kind)
        except codec.BadDocument as error:
            raise self._unavailable(f"it answered with something else: {error}") from error

    def _error(self, status: int, body: bytes) -> EngineError:
        try:
            told = codec.loads(body, _Error)
        except codec.BadDocument:
            told = _Error(message=f"status {status}")
        code = told.restate_code or ""
        # A failed discovery is reported as 500; it is an answer all the same.
        if status < HTTPStatus.INTERNAL_SERVER_ERROR or code:
            return AdminRefused(
                f"Restate's admin API at {self.url} said no: {told.message}",
                status=status,
                restate_code=code,
            )
        return self._unavailable(told.message)

    def _unavailable(self, reason: str) -> AdminUnavailable:
        return AdminUnavailable(
            f"Restate's admin API at {self.url} cannot be used: {reason}",
            hint="check workflow.restate.admin_endpoint and that restate-server runs",
        )
