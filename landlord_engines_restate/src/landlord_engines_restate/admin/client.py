"""A client of Restate's admin API."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from landlord_engines_restate.admin.errors import AdminRefused, AdminUnavailable
from landlord_engines_restate.admin.misdirected import identify_server
from landlord_engines_restate.admin.responses import (
    Deployment,
    DeploymentDetails,
    Deployments,
    RegisteredService,
    RegistrationResponse,
    Rows,
    Version,
)
from landlord_engines_restate.admin.rows import BrokenRows, read_rows
from landlord_engines_restate.admin.transport import NO_RESPONSE, AdminTransport

__all__ = ["AdminClient"]

T = TypeVar("T")

REGISTRATION_TIMEOUT = 30.0
"""Timeout of a registration, in seconds. During it Restate calls the worker."""


class AdminClient:
    """Calls one Restate server.

    Every method raises AdminUnavailable without a usable response, and AdminRefused if the server
    refuses. No method retries, except once on a kept connection that the server has closed.

    Raises:
        SettingsError: The environment's proxy variable for this server is not a proxy's URL.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._transport = AdminTransport(url, api_key)

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._transport.url

    async def get(self, path: str) -> bytes:
        """Read any path, for example the health check's."""
        return await self._transport.request("GET", path)

    async def version(self) -> str:
        """Read the server's version, for example ``1.7.12``; empty if the response has none."""
        return self._transport.parse(await self.get("/version"), Version).version

    async def deployments(self) -> tuple[Deployment, ...]:
        """List all deployments."""
        return self._transport.parse(await self.get("/deployments"), Deployments).deployments

    async def deployment(self, deployment_id: str) -> DeploymentDetails | None:
        """Read a deployment and the services that it serves; ``None`` if it does not exist."""
        return await self._find(f"/deployments/{quote(deployment_id, safe='')}", DeploymentDetails)

    async def deployment_at(self, uri: str) -> DeploymentDetails | None:
        """Read the deployment at this URL, in any spelling; ``None`` if it does not exist."""
        # Only the server knows how it spells a URL. For a known URL, a dry run without force returns
        # the deployment's id without calling it. For an unknown URL the server discovers the worker
        # and saves nothing.
        discovery = await self.register(uri, force=False, dry_run=True, metadata={})
        return await self.deployment(discovery.id)

    async def service(self, name: str) -> RegisteredService | None:
        """Read a service in its latest revision; ``None`` if it does not exist."""
        return await self._find(f"/services/{quote(name, safe='')}", RegisteredService)

    async def register(
        self, uri: str, *, force: bool, dry_run: bool = False, metadata: Mapping[str, str]
    ) -> RegistrationResponse:
        """Have the server discover a worker.

        Args:
            uri: URL at which the server reaches the worker.
            force: Discover a known URL again.
            dry_run: Discover only, and save nothing.
            metadata: Saved with the deployment.
        """
        # Always send force: the default is true in the server's schema, but the server assumes false.
        document = {
            "uri": uri,
            "use_http_11": True,
            "force": force,
            "dry_run": dry_run,
            "metadata": dict(metadata),
        }
        try:
            body = await self._transport.request(
                "POST", "/deployments", document, max_seconds=REGISTRATION_TIMEOUT
            )
            return self._transport.parse(body, RegistrationResponse)
        except (AdminRefused, AdminUnavailable) as error:
            if _may_be_other_server(error):
                await self._refuse_other_server()
            raise

    async def query(self, sql: str) -> tuple[Mapping[str, object], ...]:
        """Run a query; a row lacks the columns that are null."""
        body = await self._transport.request("POST", "/query", {"query": sql})
        return self._transport.parse(body, Rows).rows

    async def stream_rows(self, sql: str) -> AsyncGenerator[Mapping[str, object], None]:
        """Run a query with any number of rows, and yield each one; a row lacks the columns that are null."""
        async with aclosing(self._transport.stream("/query", {"query": sql})) as chunks:
            try:
                async for row in read_rows(chunks):
                    yield row
            except BrokenRows as error:
                raise self._transport.unavailable(str(error)) from error

    async def kill(self, invocation_id: str) -> bool:
        """Kill an invocation.

        Returns:
            Whether it was killed; false if it has ended or is unknown.
        """
        return await self._change(invocation_id, "kill")

    async def pause(self, invocation_id: str) -> bool:
        """Pause an invocation; a running one pauses once its step has ended.

        Returns:
            Whether the server accepted the request.
        """
        return await self._change(invocation_id, "pause")

    async def retry(self, invocation_id: str) -> bool:
        """Start the next attempt of an invocation that backs off, or resume a paused one.

        Returns:
            Whether the server accepted the request; false if the invocation has ended or is unknown.
            A running invocation is left alone.
        """
        # Observed on 1.7.2 and 1.7.12: the attempt begins at once, on the pinned deployment.
        return await self._change(invocation_id, "resume")

    async def resume(self, invocation_id: str, deployment: str) -> bool:
        """Resume a suspended or paused invocation on another deployment.

        Args:
            invocation_id: The invocation.
            deployment: The deployment's id, or ``latest`` for the one of new invocations.

        Returns:
            Whether the server accepted the request. It refuses if the invocation has ended, runs or
            backs off.
        """
        return await self._change(invocation_id, f"resume?deployment={quote(deployment, safe='')}")

    async def aclose(self) -> None:
        """Close the open connections."""
        await self._transport.aclose()

    async def _refuse_other_server(self) -> None:
        """Raise AdminUnavailable if a known server of another kind answers at this URL."""
        if server := await identify_server(self.get):
            raise AdminUnavailable(
                f"the server at {self.url} is {server}, not Restate's admin API",
                hint="set workflow.restate.admin_endpoint, or worker_admin_endpoint, to the admin"
                " API, which listens on port 9070 by default",
            ) from None

    async def _change(self, invocation_id: str, change: str) -> bool:
        path = f"/invocations/{quote(invocation_id, safe='')}/{change}"
        try:
            await self._transport.request("PATCH", path)
        except AdminRefused as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                return False
            raise
        return True

    async def _find(self, path: str, kind: type[T]) -> T | None:
        try:
            return self._transport.parse(await self.get(path), kind)
        except AdminRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def _may_be_other_server(error: AdminRefused | AdminUnavailable) -> bool:
    """Whether another kind of server may have responded: the response lacks Restate's code."""
    if isinstance(error, AdminRefused):
        return not error.restate_code
    return not isinstance(error.__cause__, NO_RESPONSE)
