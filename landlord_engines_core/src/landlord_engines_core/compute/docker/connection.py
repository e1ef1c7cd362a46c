"""The connection to a Docker daemon: its address, its certificates and the size of its answers."""

import ssl
from pathlib import Path

import aiohttp

from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["LONGEST_BODY", "open_session"]

LONGEST_BODY = 256 << 20
"""Largest answer in bytes: 256 MiB. A list shows a few KiB for each container."""


class _BoundedResponse(aiohttp.ClientResponse):
    """Response whose body is read up to a limit. aiodocker reads a body as a whole."""

    async def read(self) -> bytes:
        """Read the body.

        Raises:
            ComputeUnavailable: It is longer than the limit.
        """
        self._body = self._body or await self._read_bounded()
        return await super().read()

    async def _read_bounded(self) -> bytes:
        try:
            return await read_body(self.content.iter_any(), LONGEST_BODY)
        except LongBody as error:
            self.close()
            raise ComputeUnavailable(
                f"the Docker daemon's answer is too long: {error}",
                hint="check that compute.docker.host is the address of a Docker daemon",
            ) from error


def open_session(settings: DockerSettings) -> tuple[str, aiohttp.ClientSession]:
    """Return the daemon's URL, and a session that connects with its first request.

    Raises:
        ComputeUnavailable: The certificates cannot be read.
    """
    url, connector = _connector(settings)
    return url, aiohttp.ClientSession(connector=connector, response_class=_BoundedResponse)


def _connector(settings: DockerSettings) -> tuple[str, aiohttp.BaseConnector]:
    """Return the URL and the connector for the daemon's address."""
    # By default a connector opens at most 100 connections, and slow tenants would delay the others.
    scheme, _, address = settings.host.partition("://")
    if scheme == "unix":
        return "http://localhost", aiohttp.UnixConnector(address, limit=0)
    address = address.rstrip("/")
    if scheme == "https" or settings.tls_verify or settings.cert_path:
        return f"https://{address}", aiohttp.TCPConnector(ssl=_tls(settings), limit=0)
    return f"http://{address}", aiohttp.TCPConnector(limit=0)


def _tls(settings: DockerSettings) -> ssl.SSLContext:
    try:
        folder = Path(settings.cert_path or "~/.docker").expanduser()
    except RuntimeError:
        raise ComputeUnavailable(
            "the certificates for the Docker daemon cannot be found: this user has no home folder",
            hint="set compute.docker.cert_path to an absolute path, or HOME",
        ) from None
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise ComputeUnavailable(
            f"the certificates for the Docker daemon in {folder} cannot be read:"
            f" {type(error).__name__}",
            hint="put ca.pem, cert.pem and key.pem into the folder compute.docker.cert_path",
        ) from None
    return context
