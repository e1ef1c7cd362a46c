"""Client of a Docker daemon; the only module that uses aiodocker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiodocker
import aiohttp
import attrs
from aiodocker.networks import DockerNetwork
from aiodocker.volumes import DockerVolume, DockerVolumes

from landlord_engines_core.compute.docker.connection import open_session
from landlord_engines_core.compute.docker.errors import (
    NO_CONNECTION,
    Conflict,
    NotFound,
    StartFailed,
    connection_error,
    no_answer_error,
    to_error,
)
from landlord_engines_core.compute.docker.images import registry_of, with_registry
from landlord_engines_core.compute.docker.labels import OWNER
from landlord_engines_core.compute.docker.pulls import pull_error
from landlord_engines_core.compute.docker.requests import Body
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.factory import TimeRequest, pass_untimed
from landlord_engines_core.compute.in_flight import send
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["DockerClient"]

T = TypeVar("T")

_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError)
"""Errors of a failed call. The last two are raised if another program than a daemon answers."""


@attrs.define
class DockerClient:
    """Calls to one Docker daemon, connected with the first call.

    A cancellation waits for a call that changes something. A pull, an inspection and a wait stop
    immediately. All calls raise `ComputeUnavailable` if the daemon does not answer or fails, and
    `ComputeRefused` if it refuses the request.
    """

    settings: DockerSettings
    time_request: TimeRequest = pass_untimed
    _docker: aiodocker.Docker | None = attrs.field(default=None, init=False)
    _session: aiohttp.ClientSession | None = attrs.field(default=None, init=False)

    async def containers(self, filters: Mapping[str, list[str]]) -> list[Mapping[str, Any]]:
        """List containers in any state. The caller checks the labels, since filters are coarse."""
        async with self._request("list containers") as docker:
            containers = await docker.containers.list(all=True, filters=filters)
        return [container._container for container in containers]  # noqa: SLF001  # there is no other access

    async def inspect(self, container: str) -> Mapping[str, Any]:
        """Return the daemon's description of one container, by id or name."""
        async with self._request("inspect a container") as docker:
            return await docker.containers.container(container).show()

    async def create(self, name: str, body: Body) -> str:
        """Create a container and return its id.

        Raises:
            Conflict: The name is taken.
        """
        container = await self._change(
            "create the container", lambda docker: docker.containers.create(body, name=name)
        )
        return container.id

    async def start(self, container: str) -> None:
        """Start a container unless it runs.

        Raises:
            StartFailed: The daemon failed to start it, or an object that it refers to is missing.
            NotFound: The container itself is missing.
        """
        try:
            await self._change(
                "start the container", lambda docker: docker.containers.container(container).start()
            )
        except NotFound as error:
            # The daemon answers 404 for a missing network or volume as well.
            await self.inspect(container)
            raise StartFailed(error.message) from error
        except Conflict:
            raise
        except ComputeUnavailable as error:
            if (
                isinstance(error.__cause__, aiodocker.DockerError)
                and error.__cause__.status < NO_CONNECTION
            ):
                raise StartFailed(error.message) from error
            raise

    async def stop(self, container: str) -> None:
        """Stop a container if it runs."""
        seconds = self.settings.stop_timeout
        await self._change(
            "stop the container",
            lambda docker: docker.containers.container(container).stop(t=seconds),
            seconds,
        )

    async def remove(self, container: str, *, volumes: bool = False) -> None:
        """Remove a container, optionally with its unnamed volumes, and return once it is gone."""
        try:
            await self._change(
                "remove the container",
                lambda docker: docker.containers.container(container).delete(force=True, v=volumes),
            )
        except NotFound:
            return
        except Conflict:
            # Another removal is under way.
            await self._wait_removed(container)

    async def _wait_removed(self, container: str) -> None:
        try:
            async with self._request("remove the container") as docker:
                await docker.containers.container(container).wait(condition="removed")
        except NotFound:
            return

    async def rename(self, container: str, name: str) -> None:
        """Rename a container unless it has the name already.

        Raises:
            Conflict: The name is taken.
        """
        try:
            await self._change(
                "rename the container",
                lambda docker: docker.containers.container(container).rename(name),
            )
        except (ComputeRefused, Conflict):
            if (await self.inspect(container))["Name"] != f"/{name}":
                raise

    async def image_id(self, image: str) -> str:
        """Return the id of the image that a reference names on this daemon; empty for none."""
        return str((await self.image(image)).get("Id", ""))

    async def image(self, image: str) -> Mapping[str, Any]:
        """Return the daemon's description of an image, by reference or id; empty for none."""
        try:
            async with self._request("look for the image") as docker:
                raw: Mapping[str, Any] = await docker.images.inspect(image)
                return raw
        except NotFound:
            return {}

    async def pull(self, image: str) -> None:
        """Have the daemon pull an image.

        Raises:
            ComputeRefused: The image does not exist, or the registry denies it.
            ComputeUnavailable: The registry does not answer.
        """
        registry = self.settings.registries.get(registry_of(image))
        docker = self._connect()
        try:
            if registry is None:
                progress = docker.images.pull(image, stream=True)
            else:
                auth = {"username": registry.username, "password": registry.password}
                progress = docker.images.pull(with_registry(image), auth=auth, stream=True)
            # Read without keeping it: a pull has no limit on its messages.
            with self.time_request("pull an image"):
                async for _ in progress:
                    pass
        except aiodocker.DockerError as error:
            raise pull_error(error.status, error.message, image) from error
        except _NO_ANSWER as error:
            raise no_answer_error() from error

    async def ensure_network(self, name: str, driver: str) -> None:
        """Create a network unless it exists, and remove duplicates of it."""
        networks = await self.networks(name)
        if not networks:
            body: Body = {"Name": name, "Driver": driver, "CheckDuplicate": True}
            body["Labels"] = {OWNER: "landlord"}
            with suppress(Conflict):
                await self._change(
                    "create the network", lambda docker: docker.networks.create(body)
                )
            networks = await self.networks(name)
        owned = [
            network["Id"]
            for network in networks
            if (network.get("Labels") or {}).get(OWNER) == "landlord"
        ]
        remaining = len(networks)
        # Two workers that create the network together may each create one: Docker allows it.
        # All workers remove them in the same order, and the daemon keeps a network in use.
        for network_id in sorted(owned, reverse=True):
            if remaining > 1 and await self._remove_network(network_id):
                remaining -= 1

    async def networks(self, name: str) -> list[Mapping[str, Any]]:
        """List the networks of this name; a daemon may have several."""
        async with self._request("list networks") as docker:
            networks = await docker.networks.list(filters={"name": [name]})
        # The daemon's filter also matches a part of a name.
        return [network for network in networks if network["Name"] == name]

    async def _remove_network(self, network: str) -> bool:
        try:
            await self._change(
                "remove a network", lambda docker: _network(docker, network).delete()
            )
        except NotFound:
            return True
        except ComputeRefused:
            return False
        return True

    async def reconnect(self, container: str, network: str) -> None:
        """Move a stopped container from the removed network of this name to the current one."""
        config = {"Container": container, "Force": True}
        await self._change(
            "disconnect the container",
            lambda docker: _network(docker, network).disconnect(config),
        )
        await self._change(
            "connect the container",
            lambda docker: _network(docker, network).connect({"Container": container}),
        )

    async def ensure_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume unless it exists."""
        body = {"Name": name, "Labels": labels}
        await self._change("create a volume", lambda docker: _volumes(docker).create(body))

    async def volume(self, name: str) -> Mapping[str, Any]:
        """Return the daemon's description of one volume."""
        async with self._request("inspect a volume") as docker:
            raw: Mapping[str, Any] = await _volume(docker, name).show()
        return raw

    async def volumes(self, filters: Mapping[str, list[str]]) -> list[Mapping[str, Any]]:
        """List volumes. The caller checks the labels, since filters are coarse."""
        async with self._request("list volumes") as docker:
            answer = await _volumes(docker).list(filters=filters)
            volumes: list[Mapping[str, Any]] = answer["Volumes"] or []
        return volumes

    async def remove_volume(self, name: str) -> None:
        """Remove a volume unless another container uses it."""
        try:
            await self._change("remove a volume", lambda docker: _volume(docker, name).delete())
        except (NotFound, Conflict):
            return

    async def version(self) -> str:
        """Return the daemon's version and address in words."""
        async with self._request("ask for the version") as docker:
            version = await docker.version()
            return f"Docker {version['Version']} at {self.settings.host}"

    async def data_root(self) -> str:
        """Return the daemon's data folder, volumes included, as a path on its machine."""
        async with self._request("ask for the data folder") as docker:
            return str((await docker.system.info())["DockerRootDir"])

    async def aclose(self) -> None:
        """Close all connections."""
        if self._docker is not None and self._session is not None:
            await self._docker.close()
            await self._session.close()
            self._docker = None

    def _connect(self) -> aiodocker.Docker:
        if self._docker is None:
            url, self._session = open_session(self.settings)
            # Given a connector, aiodocker reads nothing from the environment.
            self._docker = aiodocker.Docker(
                url=url, connector=self._session.connector, session=self._session
            )
        return self._docker

    async def _change(
        self, action: str, call: Callable[[aiodocker.Docker], Awaitable[T]], seconds: float = 0
    ) -> T:
        """Send a request that changes something; ``seconds`` adds to its time limit."""

        async def request() -> T:
            async with self._request(action, seconds) as docker:
                return await call(docker)

        return await send(request)

    @asynccontextmanager
    async def _request(self, action: str, seconds: float = 0) -> AsyncIterator[aiodocker.Docker]:
        """Limit a request in time, and translate its errors."""
        try:
            with self.time_request(action):
                async with asyncio.timeout(self.settings.request_timeout + seconds):
                    yield self._connect()
        except aiodocker.DockerError as error:
            if error.status == NO_CONNECTION:
                raise connection_error(error, self.settings.host) from error
            raise to_error(action, error.status, error.message) from error
        except _NO_ANSWER as error:
            raise connection_error(error, self.settings.host) from error


# aiodocker has no types for these.
_network: Any = DockerNetwork
_volume: Any = DockerVolume
_volumes: Any = DockerVolumes
