"""Restate's admin API, as far as a worker needs it; the only door to it.

Shapes were observed on restate-server 1.7.12.
"""

import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import attrs
from xxhash import xxh3_64_intdigest
from yarl import URL

from landlord_engines_core import codec
from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import EngineError
from landlord_engines_core.proxies import name_proxy, proxy_for
from landlord_engines_core.tls import scheme_hint
from landlord_engines_restate.misdirected import who_answers

__all__ = [
    "AdminClient",
    "AdminRefused",
    "AdminUnavailable",
    "Deployment",
    "Discovered",
    "Handler",
    "RegisteredDeployment",
    "RegisteredService",
    "RetryPolicy",
    "literal",
    "partition_key",
]

T = TypeVar("T")

TIMEOUT = 10.0
REGISTRATION_TIMEOUT = 30.0
"""Seconds; a registration includes Restate's own call to the worker."""


LONGEST_BODY = 1 << 28
"""Bytes of one answer that are read, at most: the longest body that Restate takes is 32 MiB, and a
query shows each of its bytes as a number of up to three digits with a comma."""

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""The option of a socket that acknowledges at once; Linux alone has it."""


_NO_ANSWER = (aiohttp.ClientError, TimeoutError)


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
    """A handler of a registered service; ``public`` where the ingress takes requests for it."""

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
    """A deployment; ``uri`` is empty where it is not an HTTP endpoint."""

    id: str
    uri: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RegisteredDeployment:
    """A deployment with what it serves, as Restate last read it there."""

    id: str
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    services: tuple[RegisteredService, ...] = ()


@attrs.frozen(kw_only=True)
class _Version:
    version: str = ""


@attrs.frozen(kw_only=True)
class _Deployments:
    deployments: tuple[Deployment, ...]


@attrs.frozen(kw_only=True)
class Discovered:
    """The answer to a registration: the deployment, and what it serves now, or would."""

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


def _acknowledge(response: aiohttp.ClientResponse) -> None:
    """Acknowledge an answer's head at once, so that its body comes."""
    connection = response.connection
    if connection is None or connection.transport is None or QUICK_ACK is None:
        # The whole answer is there.
        return
    connection.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)


class AdminClient:
    """Asks one Restate server, over connections that it keeps where that is faster.

    The server answers a query in two segments and leaves Nagle's algorithm on: on a kept connection
    the second one waits some 40 ms for a delayed acknowledgement, about every second time (observed,
    directly and through a proxy that speaks TLS). Linux can be told to acknowledge at once, which
    does not reach behind such a proxy: over TLS each request has a new connection.

    Every method raises AdminUnavailable where there is no usable answer, and AdminRefused where the
    server says no. None of them retries but where a kept connection turns out to be closed.

    Raises:
        SettingsError: A proxy is to lead to the server, and its variable names none.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._proxy = proxy_for(self.url)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> bytes:
        """Read any path; what matters is mostly that it answers."""
        return await self._call("GET", path)

    async def version(self) -> str:
        """Read the server's version, for example ``1.7.12``; empty where the answer names none."""
        return self._read(await self._call("GET", "/version"), _Version).version

    async def deployments(self) -> tuple[Deployment, ...]:
        """List all deployments."""
        return self._read(await self._call("GET", "/deployments"), _Deployments).deployments

    async def deployment(self, deployment_id: str) -> RegisteredDeployment | None:
        """Read a deployment, its services in its own revision; ``None`` if there is none."""
        return await self._find(
            f"/deployments/{quote(deployment_id, safe='')}", RegisteredDeployment
        )

    async def deployment_at(self, uri: str) -> RegisteredDeployment | None:
        """Read the deployment at this URL, however it is spelled; ``None`` if there is none.

        A registration without force names the deployment of a known URL and reads nothing there;
        for another one the dry run has the server discover the worker, and keeps nothing of it.
        """
        discovered = await self.register(uri, force=False, dry_run=True, metadata={})
        return await self.deployment(discovered.id)

    async def service(self, name: str) -> RegisteredService | None:
        """Read a service in its latest revision; ``None`` if there is none of this name."""
        return await self._find(f"/services/{quote(name, safe='')}", RegisteredService)

    async def register(
        self, uri: str, *, force: bool, dry_run: bool = False, metadata: Mapping[str, str]
    ) -> Discovered:
        """Have the server discover a worker.

        Args:
            uri: Where the server reaches the worker.
            force: Read the manifest again where the URI is known.
            dry_run: Discover only.
            metadata: To be kept with the deployment.
        """
        # The server shows true as force's default and takes false, so it is always sent.
        document = {
            "uri": uri,
            "use_http_11": True,
            "force": force,
            "dry_run": dry_run,
            "metadata": dict(metadata),
        }
        try:
            raw = await self._call("POST", "/deployments", document, within=REGISTRATION_TIMEOUT)
            return self._read(raw, Discovered)
        except AdminRefused as error:
            if error.restate_code:
                raise
            await self._refuse_another()
            raise
        except AdminUnavailable as error:
            if not isinstance(error.__cause__, _NO_ANSWER):
                await self._refuse_another()
            raise

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
        """Close what is open."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _refuse_another(self) -> None:
        """Say so where another server answers at this URL.

        Raises:
            AdminUnavailable: It does.
        """
        if whose := await who_answers(self.get):
            raise AdminUnavailable(
                f"what answers at {self.url} is {whose}, not Restate's admin API",
                hint="set workflow.restate.admin_endpoint, or worker_admin_endpoint, to the admin"
                " API, which listens on port 9070 unless that was changed",
            ) from None

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
        try:
            status, body = await self._answer(method, path, document, within)
        except aiohttp.ClientConnectorCertificateError as error:
            raise AdminUnavailable(
                f"Restate's admin API at {self.url} shows a certificate that is not trusted:"
                f" {error.certificate_error}",
                hint="have SSL_CERT_FILE name a file with its CA's certificate",
            ) from error
        except _NO_ANSWER as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            hint = scheme_hint(error, "workflow.restate.admin_endpoint")
            raise self._unavailable(reason, hint) from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._error(status, body)
        return body

    async def _answer(
        self, method: str, path: str, document: object, within: float
    ) -> tuple[int, bytes]:
        try:
            return await self._exchange(method, path, document, within)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A kept connection may have been closed meanwhile, also by a server that was started
            # again. None of our requests does harm where it is read twice.
            return await self._exchange(method, path, document, within)

    async def _exchange(
        self, method: str, path: str, document: object, within: float
    ) -> tuple[int, bytes]:
        if self._session is None:
            keeps = QUICK_ACK is not None and self.url.startswith("http:")
            connector = aiohttp.TCPConnector(force_close=not keeps)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        async with self._session.request(
            method,
            URL(self.url + path, encoded=True),
            json=document,
            timeout=aiohttp.ClientTimeout(total=within),
            proxy=self._proxy,
            allow_redirects=False,
        ) as response:
            _acknowledge(response)
            return response.status, await self._body(response)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await read_body(response.content.iter_any(), LONGEST_BODY)
        except LongBody as error:
            hint = "check that workflow.restate.admin_endpoint leads to Restate's admin API"
            raise self._unavailable(str(error), hint) from error

    async def _find(self, path: str, kind: type[T]) -> T | None:
        try:
            return self._read(await self._call("GET", path), kind)
        except AdminRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

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
                f"Restate's admin API at {self.url} said no: {name_proxy(self._proxy, told.message)}",
                status=status,
                restate_code=code,
            )
        return self._unavailable(told.message)

    def _unavailable(self, reason: str, hint: str = "") -> AdminUnavailable:
        return AdminUnavailable(
            f"Restate's admin API at {self.url} cannot be used: {name_proxy(self._proxy, reason)}",
            hint=hint or "check workflow.restate.admin_endpoint and that restate-server runs",
        )
