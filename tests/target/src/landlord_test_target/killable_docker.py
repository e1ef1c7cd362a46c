"""A Docker daemon for one test, which may kill it. It has namespaces of network, mounts and processes.

The namespaces end with their first process. So all processes of a killed daemon end with them.
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

__all__ = ["KillableDocker", "run_killable_docker"]

# The shell serves as init: it reaps orphaned processes.
_INIT = ("sh", "-c", "ip link set lo up; echo ready; sleep infinity & wait")


_CONTAINER = re.compile("/docker[/-]([0-9a-f]{64})")
"""How the control groups of a process name its container."""


@attrs.define(kw_only=True)
class KillableDocker:
    """A daemon that listens at a socket in its folder.

    Attributes:
        init: The first process of the namespaces.
        daemon: The command that started the daemon's current process.
    """

    folder: Path
    init: Process
    daemon: Process | None = None

    @property
    def host(self) -> str:
        """Return the daemon's address."""
        return f"unix://{self.folder}/socket"

    async def start(self) -> None:
        """Start the daemon and wait until it answers."""
        # The pid files of a killed daemon may name a process that is unrelated by now.
        for stale in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / stale).unlink(missing_ok=True)
        (namespaces,) = psutil.Process(self.init.pid).children()
        with (self.folder / "log").open("ab") as log:
            self.daemon = await asyncio.create_subprocess_exec(
                *("nsenter", "--net", "--mount", "--pid", f"--target={namespaces.pid}"),
                *("dockerd", f"--host={self.host}", f"--pidfile={self.folder}/pid"),
                *(f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec"),
                stdout=log,
                stderr=log,
            )
        await wait_for(self._answers, within=120)

    async def kill(self) -> None:
        """Kill the daemon with SIGKILL."""
        assert self.daemon is not None
        for process in psutil.Process(self.daemon.pid).children():
            process.send_signal(signal.SIGKILL)
        await self.daemon.wait()

    def running(self, program: str) -> list[str]:
        """List the container id of each process that runs this program."""
        containers = []
        for process in psutil.Process(self.init.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                groups = Path(f"/proc/{process.pid}/cgroup").read_text()
                if process.name() == program and (container := _CONTAINER.search(groups)):
                    containers.append(container[1])
        return containers

    def count_shims(self) -> int:
        """Count containerd's shims: each of these processes is the parent of one container."""
        family = psutil.Process(self.init.pid).children(recursive=True)
        return sum(process.name().startswith("containerd-shim") for process in family)

    async def _answers(self) -> bool:
        process = await asyncio.create_subprocess_exec(
            "docker", f"--host={self.host}", "version", stdout=DEVNULL, stderr=DEVNULL
        )
        return await process.wait() == 0


@asynccontextmanager
async def run_killable_docker() -> AsyncIterator[KillableDocker]:
    """Run a daemon, and remove all of it at the end."""
    # A socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="landlord-"))
    init = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
        *_INIT,
        stdout=PIPE,
    )
    daemon = KillableDocker(folder=folder, init=init)
    try:
        assert init.stdout is not None
        assert await init.stdout.readline() == b"ready\n"
        await daemon.start()
        yield daemon
    finally:
        init.kill()
        await init.wait()
        if daemon.daemon is not None:
            await daemon.daemon.wait()
        shutil.rmtree(folder)
