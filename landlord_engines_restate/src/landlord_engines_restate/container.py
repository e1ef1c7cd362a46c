"""A restate-server in a container: the only door to testcontainers, and to what it brings."""

import asyncio
import platform
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import attrs
import certifi
from docker.errors import DockerException, NotFound  # type: ignore[import-untyped]  # it has no types
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.local import (
    VERSION,
    NotReady,
    Ports,
    config_text,
    free_ports,
    wait_ready,
)

__all__ = ["RestateContainer"]

T = TypeVar("T")

# The program panics without a bundle of certificates (observed on 1.7.12).
DOCKERFILE = """\
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY restate.toml /restate.toml
COPY restate-server /restate-server
ENTRYPOINT ["/restate-server", "--no-logo", "--config-file=/restate.toml"]
"""

# Otherwise a container that is pulled from a registry removes what is left; here nothing is.
testcontainers_config.ryuk_disabled = True


@attrs.define(kw_only=True)
class RestateContainer:
    """One restate-server in a container that shares the network of this machine.

    So it reaches a worker on loopback, and neither of them can be reached from elsewhere.

    Attributes:
        binary: The program, for Linux and statically linked.
        folder: What the image is made of.
        image: The name of the image.
    """

    binary: Path
    folder: Path
    image: str = attrs.field(init=False)
    _ports: Ports = attrs.field(init=False, factory=free_ports)
    _made: ExitStack = attrs.field(init=False, factory=ExitStack)

    @image.default
    def _name_image(self) -> str:
        return f"landlord-engines/restate-server:{VERSION}-{uuid4().hex[:12]}"

    @property
    def endpoint(self) -> str:
        """The ingress."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def admin_endpoint(self) -> str:
        """The admin API."""
        return f"http://127.0.0.1:{self._ports[1]}"

    async def start(self) -> None:
        """Make the image, start the container and return once it answers.

        Raises:
            EngineFailed: There is no engine, or it refuses, or the server does not answer in time.
        """
        if platform.system() != "Linux":
            raise EngineFailed(
                "a restate-server in a container needs Linux, whose network it shares",
                hint="leave out `--backend container`",
            )
        try:
            await self._start()
        except BaseException as error:
            await self.stop()
            if isinstance(error, DockerException | OSError):
                raise EngineFailed(
                    f"the Docker engine could not run a restate-server: {error}",
                    hint="it is reached as by Docker's own clients; try `docker info`",
                ) from error
            raise

    async def stop(self) -> None:
        """Remove the container with its data, and the image."""
        with suppress(NotFound):
            await _whole(self._made.close)

    async def _start(self) -> None:
        container = await _whole(self._run)
        try:
            await wait_ready(self, asyncio.to_thread(container.wait))
        except NotReady as error:
            said = b"".join(await _whole(container.get_logs)).decode(errors="replace")
            raise EngineFailed(
                f"restate-server did not start in its container: {error}",
                hint="\n".join(said.splitlines()[-10:]),
            ) from error

    def _run(self) -> DockerContainer:
        # Servers that share layers would take them from each other in the end.
        image = DockerImage(path=self._context(), tag=self.image, no_cache=True)
        self._made.enter_context(image)
        container = DockerContainer(self.image).with_kwargs(network="host", cap_drop=["ALL"])
        return self._made.enter_context(container)

    def _context(self) -> Path:
        """A folder with what the image is made of."""
        context = self.folder / "image"
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "restate.toml").write_text(config_text(self._ports, "/restate-data"))
        shutil.copy(certifi.where(), context / "ca-certificates.crt")
        shutil.copy(self.binary, context / "restate-server")
        return context


async def _whole(work: Callable[[], T]) -> T:
    """Do in a thread what must not be left half done: a cancellation waits for its end."""
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise
