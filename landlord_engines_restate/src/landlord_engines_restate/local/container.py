"""A restate-server in a container; the only importer of testcontainers and its dependencies."""

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
from landlord_engines_restate.local.binary import VERSION
from landlord_engines_restate.local.server import (
    LocalServer,
    NotReady,
    config_text,
    wait_ready,
)

__all__ = ["RestateContainer", "write_context"]

T = TypeVar("T")

# restate-server panics without a bundle of CA certificates (observed on 1.7.12).
DOCKERFILE = """\
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY restate.toml /restate.toml
COPY restate-server /restate-server
ENTRYPOINT ["/restate-server", "--no-logo", "--config-file=/restate.toml"]
"""

# testcontainers would pull the image of Ryuk, its clean-up container. This module pulls nothing.
testcontainers_config.ryuk_disabled = True


@attrs.define(kw_only=True)
class RestateContainer(LocalServer):
    """A restate-server in a container that shares this machine's network.

    The server reaches a worker on loopback, and no other machine reaches either of them.

    Attributes:
        binary: The program, for Linux and statically linked.
        folder: Folder for the image's build context.
        image: Name of the image.
    """

    binary: Path
    folder: Path
    image: str = attrs.field(init=False)
    _resources: ExitStack = attrs.field(init=False, factory=ExitStack)

    @image.default
    def _name_image(self) -> str:
        return f"landlord-engines/restate-server:{VERSION}-{uuid4().hex[:12]}"

    async def start(self) -> None:
        """Build the image, start the container and return once the server answers.

        Raises:
            EngineFailed: The Docker daemon is missing or refuses, or the server does not start.
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
                    f"the Docker daemon could not run a restate-server: {error}",
                    hint="check that `docker info` reaches the daemon from this shell",
                ) from error
            raise

    async def stop(self) -> None:
        """Remove the container with its data, and the image."""
        with suppress(NotFound):
            await _run_to_end(self._resources.close)

    async def _start(self) -> None:
        container = await _run_to_end(self._run_container)
        try:
            await wait_ready(self, asyncio.to_thread(container.wait))
        except NotReady as error:
            logs = b"".join(await _run_to_end(container.get_logs)).decode(errors="replace")
            raise EngineFailed(
                f"restate-server did not start in its container: {error}",
                hint="\n".join(logs.splitlines()[-10:]),
            ) from error

    def _run_container(self) -> DockerContainer:
        # With the build cache, two servers would share layers, and the first to stop would remove them.
        context = self.folder / "image"
        write_context(context, self.binary, config_text(self._ports, "/restate-data"))
        image = DockerImage(path=context, tag=self.image, no_cache=True)
        self._resources.enter_context(image)
        container = DockerContainer(self.image).with_kwargs(network="host", cap_drop=["ALL"])
        return self._resources.enter_context(container)


def write_context(context: Path, binary: Path, settings: str) -> None:
    """Write the build context of an image of a restate-server.

    Args:
        context: The folder to create.
        binary: The program, for Linux and statically linked.
        settings: The server's settings in TOML.
    """
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "restate.toml").write_text(settings)
    shutil.copy(certifi.where(), context / "ca-certificates.crt")
    shutil.copy(binary, context / "restate-server")


async def _run_to_end(work: Callable[[], T]) -> T:
    """Run a function in a thread; a cancellation is raised only after the function has ended."""
    # A thread cannot be cancelled: without this wait a container could appear after the clean-up.
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise
