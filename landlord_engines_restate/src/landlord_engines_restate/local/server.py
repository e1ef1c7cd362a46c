"""A restate-server process on this machine, and functions that the container shares."""

import abc
import asyncio
import json
import socket
from asyncio.subprocess import Process
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path

import attrs

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.retries import retry
from landlord_engines_restate.admin import AdminClient, AdminRefused, AdminUnavailable
from landlord_engines_restate.local.processes import kill_and_wait

__all__ = [
    "LocalServer",
    "NotReady",
    "RestateServer",
    "config_text",
    "free_ports",
    "wait_ready",
]

START_TIMEOUT = 30.0
"""Seconds in which a server has to start."""

STOP_TIMEOUT = 5.0
"""Seconds between SIGTERM and SIGKILL."""

Ports = tuple[int, int, int]
"""Ports of the ingress, the admin API, and the traffic between servers."""


@attrs.define(kw_only=True)
class LocalServer(abc.ABC):
    """A restate-server on this machine: a process or a container."""

    _ports: Ports = attrs.field(init=False)

    @_ports.default
    def _choose_ports(self) -> Ports:
        return free_ports()

    @property
    def endpoint(self) -> str:
        """URL of the ingress."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def admin_endpoint(self) -> str:
        """URL of the admin API."""
        return f"http://127.0.0.1:{self._ports[1]}"

    @abc.abstractmethod
    async def start(self) -> None:
        """Start the server and return once it answers; a failed start leaves nothing behind."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Stop the server."""


class NotReady(Exception):  # callers add the server's log and raise EngineFailed
    """A server ended, or did not answer in time."""


@attrs.define(kw_only=True)
class RestateServer(LocalServer):
    """A restate-server process; a restart keeps its data and its ports.

    Attributes:
        binary: The program.
        folder: Folder for the server's data and its log.
    """

    binary: Path
    folder: Path
    _process: Process | None = attrs.field(init=False, default=None)

    @property
    def log(self) -> Path:
        """File with the server's output."""
        return self.folder / "restate-server.log"

    async def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            EngineFailed: The server ended, or did not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self.binary),
                "--no-logo",
                f"--config-file={self._write_config()}",
                # RESTATE_* variables of this process would change the server's settings. TMPDIR
                # keeps the server's temporary files in its folder.
                env={"TMPDIR": str(self.folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await wait_ready(self, self._process.wait())
        except BaseException as error:
            await self.kill()
            if isinstance(error, NotReady):
                raise self._start_failure(error) from error
            raise

    def _start_failure(self, reason: NotReady) -> EngineFailed:
        tail = self.log.read_text(errors="replace").splitlines()[-10:]
        return EngineFailed(
            f"restate-server did not start: {reason}", hint="\n".join((f"see {self.log}:", *tail))
        )

    async def stop(self) -> None:
        """Stop the server with SIGTERM, and kill it after `STOP_TIMEOUT`."""
        await self._end(kill=False)

    async def kill(self) -> None:
        """Kill the server, as a crash would."""
        await self._end(kill=True)

    async def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        try:
            if not kill:
                process.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        finally:
            await kill_and_wait(process)

    def _write_config(self) -> Path:
        config = self.folder / "restate.toml"
        config.write_text(config_text(self._ports, str(self.folder)))
        return config


def config_text(ports: Ports, base: str) -> str:
    """Return the settings of a server on loopback that keeps its data in the folder ``base``."""
    ingress, admin, node = ports
    return f"""\
node-name = "local"
cluster-name = "local"
base-dir = {json.dumps(base, ensure_ascii=False)}
listen-mode = "tcp"
bind-ip = "127.0.0.1"
bind-port = {node}
advertised-host = "127.0.0.1"
disable-telemetry = true

[ingress]
bind-port = {ingress}

[admin]
bind-port = {admin}
"""


async def wait_ready(server: LocalServer, end: Coroutine[object, object, int]) -> None:
    """Wait until the admin API and the ingress answer.

    Args:
        server: A server that was just started.
        end: Waits for the server's end and returns its exit status; cancelled once the server
            answers.

    Raises:
        NotReady: The server ended, or did not answer in time.
    """
    admin, ingress = AdminClient(server.admin_endpoint), AdminClient(server.endpoint)
    ended = asyncio.create_task(end)
    healthy = asyncio.create_task(_wait_healthy(admin, ingress))
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await asyncio.wait((ended, healthy), return_when=asyncio.FIRST_COMPLETED)
        if not healthy.done():
            raise NotReady(f"it ended with status {ended.result()}")
        healthy.result()
    except TimeoutError as error:
        raise NotReady("no answer in time") from error
    finally:
        for task in (ended, healthy):
            task.cancel()
        await asyncio.gather(ended, healthy, return_exceptions=True)
        await admin.aclose()
        await ingress.aclose()


async def _wait_healthy(admin: AdminClient, ingress: AdminClient) -> None:
    errors = (AdminUnavailable, AdminRefused)
    await retry(lambda: _check_health(admin, ingress), errors, first=0.02, longest=0.2)


async def _check_health(admin: AdminClient, ingress: AdminClient) -> None:
    await admin.get("/health")
    await ingress.get("/restate/health")
    # Both report healthy shortly before the partitions answer queries (observed on 1.7.12).
    await admin.query("select id from sys_invocation limit 1")


def free_ports() -> Ports:
    """Return three different ports that were free just now."""
    # All three sockets are open at the same time, so the system cannot return a port twice.
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        first, second, third = (listener.getsockname()[1] for listener in sockets)
    return first, second, third
