"""The only door to a Docker engine, and to aiodocker: the few calls that we need."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiodocker
import aiohttp
import attrs
from aiodocker.networks import DockerNetwork
from aiodocker.volumes import DockerVolume, DockerVolumes

from landlord_engines_core.compute.docker.answers import (
    NO_CONNECTION,
    Conflict,
    NotFound,
    StartFailed,
    silent,
    to_error,
)
from landlord_engines_core.compute.docker.body import Body
from landlord_engines_core.compute.docker.images import in_full, registry_of
from landlord_engines_core.compute.docker.names import OWNER
from landlord_engines_core.compute.docker.pulls import pull_error
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.docker.unreachable import unreachable
from landlord_engines_core.compute.in_flight import send
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["DockerClient"]

T = TypeVar("T")


_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError)
"""The last two where what answers is not an engine."""


@attrs.define
class DockerClient:
    """Calls one Docker engine; connects with the first call.

    A call that changes something ends before a cancellation goes on. A pull, a look and a wait stop
    at once. All calls raise `ComputeUnavailable` where the engine does not answer or is in trouble, and
    `ComputeRefused` where it refuses what it was asked.
    """

    settings: DockerSettings
    _docker: aiodocker.Docker | None = attrs.field(default=None, init=False)
    _connector: aiohttp.BaseConnector | None = attrs.field(default=None, init=False)

    async def containers(self, filters: Mapping[str, list[str]]) -> list[Mapping[str, Any]]:
        """What the engine lists, whatever state it is in; its filters are to be checked again."""
        async with self._asked("list containers") as docker:
            found = await docker.containers.list(all=True, filters=filters)
        return [one._container for one in found]  # noqa: SLF001  # the library shows them no other way

    async def show(self, container: str) -> Mapping[str, Any]:
        """All of one container, by id or name."""
        async with self._asked("inspect a container") as docker:
            return await docker.containers.container(container).show()

    async def create(self, name: str, body: Body) -> str:
        """Make a container and return its id.

        Raises:
            Conflict: The name is taken.
        """
        made = await self._change(
            "create the container", lambda docker: docker.containers.create(body, name=name)
        )
        return made.id

    async def start(self, container: str) -> None:
        """Start a container; one that runs is left alone.

        Raises:
            StartFailed: The engine fails in doing so, or something is gone that the container names.
            NotFound: The container itself is gone.
        """
        try:
            await self._change(
                "start the container", lambda docker: docker.containers.container(container).start()
            )
        except NotFound as error:
            # The engine answers 404 for a missing network or volume as well.
            await self.show(container)
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
        """Stop a container; one that does not run is left alone."""
        seconds = self.settings.stop_timeout
        await self._change(
            "stop the container",
            lambda docker: docker.containers.container(container).stop(t=seconds),
            seconds,
        )

    async def remove(self, container: str, *, volumes: bool = False) -> None:
        """Remove a container, and return once it is gone, whoever removed it.

        Args:
            container: Its id or name.
            volumes: Whether the volumes go with it that have no name.
        """
        try:
            await self._change(
                "remove the container",
                lambda docker: docker.containers.container(container).delete(force=True, v=volumes),
            )
        except NotFound:
            return
        except Conflict:
            await self._removed(container)

    async def _removed(self, container: str) -> None:
        try:
            async with self._asked("remove the container") as docker:
                await docker.containers.container(container).wait(condition="removed")
        except NotFound:
            return

    async def rename(self, container: str, name: str) -> None:
        """Give a container another name; one that has it already is left alone.

        Raises:
            Conflict: The name is taken.
        """
        try:
            await self._change(
                "rename the container",
                lambda docker: docker.containers.container(container).rename(name),
            )
        except (ComputeRefused, Conflict):
            if (await self.show(container))["Name"] != f"/{name}":
                raise

    async def image_id(self, image: str) -> str:
        """What an image's reference means on this engine; empty where it means nothing."""
        return str((await self.image(image)).get("Id", ""))

    async def image(self, image: str) -> Mapping[str, Any]:
        """All of an image, by its reference or id; empty where there is none."""
        try:
            async with self._asked("look for the image") as docker:
                shown: Mapping[str, Any] = await docker.images.inspect(image)
                return shown
        except NotFound:
            return {}

    async def pull(self, image: str) -> None:
        """Have the engine fetch an image.

        Raises:
            ComputeRefused: There is no such image, or the registry does not give it to us.
            ComputeUnavailable: The registry does not answer.
        """
        registry = self.settings.registries.get(registry_of(image))
        docker = self._connected()
        try:
            if registry is None:
                await docker.images.pull(image)
            else:
                auth = {"username": registry.username, "password": registry.password}
                await docker.images.pull(in_full(image), auth=auth)
        except aiodocker.DockerError as error:
            raise pull_error(error.status, error.message, image) from error
        except _NO_ANSWER as error:
            raise silent() from error

    async def ensure_network(self, name: str, driver: str) -> None:
        """Have one network of this name: two workers that miss it at once may each make one."""
        found = await self.networks(name)
        if not found:
            body: Body = {"Name": name, "Driver": driver, "CheckDuplicate": True}
            body["Labels"] = {OWNER: "landlord"}
            with suppress(Conflict):
                await self._change(
                    "create the network", lambda docker: docker.networks.create(body)
                )
            found = await self.networks(name)
        ours = [one["Id"] for one in found if (one.get("Labels") or {}).get(OWNER) == "landlord"]
        left = len(found)
        # All workers take them in the same order; the engine keeps one that is in use.
        for network in sorted(ours, reverse=True):
            if left > 1 and await self._remove_network(network):
                left -= 1

    async def networks(self, name: str) -> list[Mapping[str, Any]]:
        """All networks of this name; an engine may have several."""
        async with self._asked("list networks") as docker:
            found = await docker.networks.list(filters={"name": [name]})
        return [one for one in found if one["Name"] == name]

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
        """Give a stopped container the network that has this name by now, in place of the former."""
        config = {"Container": container, "Force": True}
        await self._change(
            "take the container off its network",
            lambda docker: _network(docker, network).disconnect(config),
        )
        await self._change(
            "connect the container",
            lambda docker: _network(docker, network).connect({"Container": container}),
        )

    async def ensure_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume unless there is one of this name."""
        body = {"Name": name, "Labels": labels}
        await self._change("create a volume", lambda docker: _volumes(docker).create(body))

    async def volume(self, name: str) -> Mapping[str, Any]:
        """All of one volume."""
        async with self._asked("inspect a volume") as docker:
            shown: Mapping[str, Any] = await _volume(docker, name).show()
        return shown

    async def volumes(self, filters: Mapping[str, list[str]]) -> list[Mapping[str, Any]]:
        """What the engine lists of volumes; its filters are to be checked again."""
        async with self._asked("list volumes") as docker:
            found = await _volumes(docker).list(filters=filters)
            listed: list[Mapping[str, Any]] = found["Volumes"] or []
        return listed

    async def remove_volume(self, name: str) -> None:
        """Remove a volume, unless another container has it."""
        try:
            await self._change("remove a volume", lambda docker: _volume(docker, name).delete())
        except (NotFound, Conflict):
            return

    async def version(self) -> str:
        """Which daemon answers, and where."""
        async with self._asked("ask for the version") as docker:
            version = await docker.version()
            return f"Docker {version['Version']} at {self.settings.host}"

    async def data_root(self) -> str:
        """The folder of its host in which the engine keeps everything, volumes too."""
        async with self._asked("ask the engine for its folder") as docker:
            return str((await docker.system.info())["DockerRootDir"])

    async def aclose(self) -> None:
        """Close all connections."""
        if self._docker is not None and self._connector is not None:
            await self._docker.close()
            await self._connector.close()
            self._docker = None

    def _connected(self) -> aiodocker.Docker:
        if self._docker is None:
            # Given both, aiodocker reads nothing from the environment.
            url, self._connector = _connector(self.settings)
            self._docker = aiodocker.Docker(url=url, connector=self._connector)
        return self._docker

    async def _change(
        self, what: str, call: Callable[[aiodocker.Docker], Awaitable[T]], seconds: float = 0
    ) -> T:
        """Send one request that changes something; the only way for those."""

        async def request() -> T:
            async with self._asked(what, seconds) as docker:
                return await call(docker)

        return await send(request)

    @asynccontextmanager
    async def _asked(self, what: str, seconds: float = 0) -> AsyncIterator[aiodocker.Docker]:
        """Give a call its deadline, and its failures their meaning."""
        try:
            async with asyncio.timeout(self.settings.request_timeout + seconds):
                yield self._connected()
        except aiodocker.DockerError as error:
            if error.status == NO_CONNECTION:
                raise unreachable(error, self.settings.host) from error
            raise to_error(what, error.status, error.message) from error
        except _NO_ANSWER as error:
            raise unreachable(error, self.settings.host) from error


# The library has no types for these.
_network: Any = DockerNetwork
_volume: Any = DockerVolume
_volumes: Any = DockerVolumes


def _connector(settings: DockerSettings) -> tuple[str, aiohttp.BaseConnector]:
    """Where and how to connect; no limit, since a slow tenant's call must not delay another's."""
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
            "the certificates for the Docker engine cannot be found: this user has no home folder",
            hint="set compute.docker.cert_path to an absolute path, or HOME",
        ) from None
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise ComputeUnavailable(
            f"the certificates for the Docker engine in {folder} cannot be read:"
            f" {type(error).__name__}",
            hint="compute.docker.cert_path is to hold ca.pem, cert.pem and key.pem",
        ) from None
    return context
