"""HTTP requests to Restate's admin API, and the translation of their failures."""

import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from yarl import URL

from landlord_engines_core import codec
from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import EngineError
from landlord_engines_core.proxies import name_proxy, proxy_for
from landlord_engines_core.tls import scheme_hint
from landlord_engines_core.tracing import annotate, trace_span
from landlord_engines_restate.admin.errors import AdminRefused, AdminUnavailable
from landlord_engines_restate.admin.responses import ErrorBody

__all__ = ["NO_RESPONSE", "TIMEOUT", "AdminTransport"]

T = TypeVar("T")

TIMEOUT = 10.0
"""Default timeout of a request, in seconds."""

LONGEST_BODY = 1 << 28
"""Largest response that is read: 256 MiB."""
# Restate accepts bodies of up to 32 MiB. A query shows each byte of a body as a number of up to three
# digits and a comma.

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""The socket option that acknowledges segments at once; only Linux has it."""

NO_RESPONSE = (aiohttp.ClientError, TimeoutError)
"""Causes of an `AdminUnavailable` if no server responded."""


class AdminTransport:
    """Sends requests to one Restate server.

    Raises:
        SettingsError: The environment's proxy variable for this server is not a proxy's URL.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._proxy = proxy_for(self.url)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, path: str, document: object = None, *, max_seconds: float = TIMEOUT
    ) -> bytes:
        """Send a request and return the response's body.

        Raises:
            AdminUnavailable: The server gave no usable response.
            AdminRefused: The server refused.
        """
        # Only the path's first part: the rest names an invocation or a deployment.
        name = f"restate: {method} /{path.split('/')[1]}"
        with trace_span(name, {"http.request.method": method}, is_request=True):
            with self._translate_failures():
                status, body = await self._send(method, path, document, max_seconds)
            annotate({"http.response.status_code": status})
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._to_error(status, body)
        return body

    async def stream(self, path: str, document: object) -> AsyncGenerator[bytes, None]:
        """Send a POST request, and yield the response's body in pieces.

        Raises:
            AdminUnavailable: The server gave no usable response, or stopped sending.
            AdminRefused: The server refused.
        """
        # The whole response may take long, but no piece of it.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
        with self._translate_failures():
            async with self._open_session().request(
                "POST",
                URL(self.url + path, encoded=True),
                json=document,
                # Uncompressed: a small piece of a compressed response may have megabytes of text.
                headers={"Accept-Encoding": "identity"},
                timeout=timeout,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise self._to_error(response.status, await self._read_body(response))
                async for chunk in response.content.iter_any():
                    yield chunk

    async def aclose(self) -> None:
        """Close the open connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def parse(self, body: bytes, kind: type[T]) -> T:
        """Parse a response.

        Raises:
            AdminUnavailable: The response has another form.
        """
        try:
            return codec.loads(body, kind)
        except codec.BadDocument as error:
            raise self.unavailable(f"unexpected response: {error}") from error

    def unavailable(self, reason: str, hint: str = "") -> AdminUnavailable:
        """Build the error of a server that gave no usable response."""
        return AdminUnavailable(
            f"Restate's admin API at {self.url} cannot be used: {name_proxy(self._proxy, reason)}",
            hint=hint or "check workflow.restate.admin_endpoint and that restate-server runs",
        )

    @contextmanager
    def _translate_failures(self) -> Iterator[None]:
        """Raise AdminUnavailable if no response comes."""
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            raise AdminUnavailable(
                f"Restate's admin API at {self.url} shows a certificate that is not trusted:"
                f" {error.certificate_error}",
                hint="set SSL_CERT_FILE to a file with the certificate of its CA",
            ) from error
        except NO_RESPONSE as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            hint = scheme_hint(error, "workflow.restate.admin_endpoint")
            raise self.unavailable(reason, hint) from error

    async def _send(
        self, method: str, path: str, document: object, max_seconds: float
    ) -> tuple[int, bytes]:
        try:
            return await self._exchange(method, path, document, max_seconds)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # The server may have closed a kept connection, for example in a restart. Sending again is
            # safe: each request of this package has the same effect twice as once.
            return await self._exchange(method, path, document, max_seconds)

    async def _exchange(
        self, method: str, path: str, document: object, max_seconds: float
    ) -> tuple[int, bytes]:
        async with self._open_session().request(
            method,
            URL(self.url + path, encoded=True),
            json=document,
            timeout=aiohttp.ClientTimeout(total=max_seconds),
            proxy=self._proxy,
            allow_redirects=False,
        ) as response:
            _acknowledge(response)
            return response.status, await self._read_body(response)

    def _open_session(self) -> aiohttp.ClientSession:
        # The server sends a query's result in two segments, with Nagle's algorithm on. About every second
        # time, the second segment waits some 40 ms for a delayed acknowledgement on a kept connection
        # (observed, also through a TLS proxy). On Linux `_acknowledge` removes that delay, but not
        # behind a TLS proxy. A request over TLS therefore gets a new connection.
        if self._session is None:
            keeps_alive = QUICK_ACK is not None and self.url.startswith("http:")
            connector = aiohttp.TCPConnector(force_close=not keeps_alive)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._session

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await read_body(response.content.iter_any(), LONGEST_BODY)
        except LongBody as error:
            hint = "check that workflow.restate.admin_endpoint leads to Restate's admin API"
            raise self.unavailable(str(error), hint) from error

    def _to_error(self, status: int, body: bytes) -> EngineError:
        try:
            error = codec.loads(body, ErrorBody)
        except codec.BadDocument:
            error = ErrorBody(message=f"status {status}")
        code = error.restate_code or ""
        # Restate reports a failed discovery as 500 with a Restate code: that is a refusal.
        if status < HTTPStatus.INTERNAL_SERVER_ERROR or code:
            return AdminRefused(
                f"Restate's admin API at {self.url} refused: {name_proxy(self._proxy, error.message)}",
                status=status,
                restate_code=code,
            )
        return self.unavailable(error.message)


def _acknowledge(response: aiohttp.ClientResponse) -> None:
    """Acknowledge the response's first segment at once, so that the server sends the second."""
    connection = response.connection
    if connection is None or connection.transport is None or QUICK_ACK is None:
        # aiohttp has released the connection: the whole response has arrived.
        return
    connection.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
