"""A Docker daemon for one test, in its own namespaces of network, mounts and processes. Tests may kill it.

The daemon lives in namespaces that end with their first process. So do the leftovers of a killed
daemon.
"""

import asyncio
import re
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import psutil

from landlord_test_target.waiting import wait_for

__all__ = ["OwnDocker", "own_docker"]

# The shell serves as init: it reaps orphaned processes.
_FIRST = ("sh", "-c", "ip link set lo up; echo ready; sleep infinity & wait")


_CONTAINER = re.compile("/docker[/-]([0-9a-f]{64})")
"""How the control groups of a process name its container."""


@attrs.define(kw_only=True)
class OwnDocker:
    """A daemon at a socket in its own folder.

    Attributes:
        first: The first process of the namespaces.
        engine: The command that started the daemon's current process.
    """

    folder: Path
    first: Process
    engine: Process | None = None

    @property
    def host(self) -> str:
        """Return the daemon's address."""
        return f"unix://{self.folder}/socket"

    async def start(self) -> None:
        """Start the daemon and wait until it answers."""
        # The pid files of a killed daemon may name a process that is unrelated by now.
        for stale in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / stale).unlink(missing_ok=True)
        (namespaces,) = psutil.Process(self.first.pid).children()
        with (self.folder / "log").open("ab") as log:
            self.engine = await asyncio.create_subprocess_exec(
                *("nsenter", "--net", "--mount", "--pid", f"--target={namespaces.pid}"),
                *("dockerd", f"--host={self.host}", f"--pidfile={self.folder}/pid"),
                *(f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec"),
                stdout=log,
                stderr=log,
            )
        await wait_for(self._answers, within=120)

    async def kill(self) -> None:
        """Kill the daemon with SIGKILL."""
        assert self.engine is not None
        for process in psutil.Process(self.engine.pid).children():
            process.send_signal(signal.SIGKILL)
        await self.engine.wait()

    def running(self, program: str) -> list[str]:
        """List the container id of each process that runs this program."""
        containers = []
        for process in psutil.Process(self.first.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                groups = Path(f"/proc/{process.pid}/cgroup").read_text()
                if process.name() == program and (container := _CONTAINER.search(groups)):
                    containers.append(container[1])
        return containers

    def count_shims(self) -> int:
        """Count the shims, the processes that each keep one container."""
        family = psutil.Process(self.first.pid).children(recursive=True)
        return sum(process.name().startswith("containerd-shim") for process in family)

    async def _answers(self) -> bool:
        process = await asyncio.create_subprocess_exec(
            "docker", f"--host={self.host}", "version", stdout=DEVNULL, stderr=DEVNULL
        )
        return await process.wait() == 0


@asynccontextmanager
async def own_docker() -> AsyncIterator[OwnDocker]:
    """Run a daemon, and remove all of it at the end."""
    # A socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="landlord-"))
    first = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
        *_FIRST,
        stdout=PIPE,
    )
    engine = OwnDocker(folder=folder, first=first)
    try:
        assert first.stdout is not None
        assert await first.stdout.readline() == b"ready\n"
        await engine.start()
        yield engine
    finally:
        first.kill()
        await first.wait()
        if engine.engine is not None:
            await engine.engine.wait()
        shutil.rmtree(folder)
